package faults

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// messages reads the messages of a client to Postgres (PostgreSQL documentation, "Message Formats"): a length and its
// content first, then a type byte before each.
type messages struct {
	from  *bufio.Reader
	begun bool
}

func newMessages(from io.Reader) *messages { return &messages{from: bufio.NewReader(from)} }

const maxMessage = 16 << 20

// next returns the type byte, 0 for the first message, and the whole message.
func (m *messages) next() (kind byte, message []byte, err error) {
	head := 5
	if !m.begun {
		head = 4
	}
	message = make([]byte, head)
	if _, err := io.ReadFull(m.from, message); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(message[head-4:])
	if length < 4 || length > maxMessage {
		return 0, nil, errors.New("not Postgres's protocol")
	}
	if m.begun {
		kind = message[0]
	}
	m.begun = true
	message = append(message, make([]byte, length-4)...)
	_, err = io.ReadFull(m.from, message[head:])
	return kind, message, err
}
