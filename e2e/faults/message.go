package faults

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// messages reads what a client says to Postgres, one message at a time: a length and its content to begin with, then a
// letter before each (PostgreSQL documentation, "Message Formats").
type messages struct {
	from  *bufio.Reader
	begun bool
}

func newMessages(from io.Reader) *messages { return &messages{from: bufio.NewReader(from)} }

const mostMessage = 16 << 20

// next returns the letter, 0 for the first message, and the whole message.
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
	if length < 4 || length > mostMessage {
		return 0, nil, errors.New("this is not Postgres's protocol")
	}
	if m.begun {
		kind = message[0]
	}
	m.begun = true
	message = append(message, make([]byte, length-4)...)
	_, err = io.ReadFull(m.from, message[head:])
	return kind, message, err
}
