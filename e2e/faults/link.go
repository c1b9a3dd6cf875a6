package faults

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// link is a proxy between a server and its Postgres that can lose, delay and slow down answers.
type link struct {
	listener net.Listener
	socket   string

	mu          sync.Mutex
	delay       time.Duration // of every answer
	rate        int           // bytes per second of answers; 0: unlimited
	blackhole   bool          // answers are lost silently
	marks       map[string]*mark
	seen        func(kind byte) // called for each message to Postgres
	connections map[*connection]bool
}

// mark is text in a message to Postgres whose answer is lost.
type mark struct {
	after int // how many messages with it pass before
}

// connection is one connection of the server.
type connection struct {
	server, database net.Conn
	mu               sync.Mutex
	cut              bool // no more answers are passed on
}

func newLink(socket string) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("create link: %w", err)
	}
	l := &link{listener: listener, socket: socket, marks: map[string]*mark{}, connections: map[*connection]bool{}}
	go l.accept()
	return l, nil
}

func (l *link) address() string { return l.listener.Addr().String() }

func (l *link) accept() {
	for {
		server, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.serve(server)
	}
}

func (l *link) serve(server net.Conn) {
	database, err := net.Dial("unix", l.socket)
	if err != nil {
		_ = server.Close()
		return
	}
	p := &connection{server: server, database: database}
	l.mu.Lock()
	l.connections[p] = true
	l.mu.Unlock()
	done := make(chan struct{})
	go func() {
		l.forth(p)
		close(done)
	}()
	l.back(p)
	p.close()
	<-done
	l.mu.Lock()
	delete(l.connections, p)
	l.mu.Unlock()
}

// close closes both connections, the server's with a reset.
func (p *connection) close() {
	if tcp, ok := p.server.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = p.server.Close()
	_ = p.database.Close()
}

// forth passes messages to Postgres on.
func (l *link) forth(p *connection) {
	defer p.close()
	messages := newMessages(p.server)
	for {
		kind, message, err := messages.next()
		if err != nil {
			return
		}
		l.mu.Lock()
		seen := l.seen
		cut := l.marked(message)
		l.mu.Unlock()
		if cut {
			p.mu.Lock()
			p.cut = true
			p.mu.Unlock()
			// Postgres has time to commit.
			time.AfterFunc(200*time.Millisecond, p.close)
		}
		if seen != nil {
			seen(kind)
		}
		if _, err := p.database.Write(message); err != nil {
			return
		}
	}
}

// marked reports whether the answer to the message is to be lost.
func (l *link) marked(message []byte) bool {
	for text, m := range l.marks {
		if !bytes.Contains(message, []byte(text)) {
			continue
		}
		if m.after--; m.after < 0 {
			delete(l.marks, text)
			return true
		}
	}
	return false
}

// back passes answers on.
func (l *link) back(p *connection) {
	buffer := make([]byte, 16<<10)
	for {
		l.mu.Lock()
		size := len(buffer)
		if l.rate > 0 {
			size = max(1, l.rate/20)
		}
		l.mu.Unlock()
		n, err := p.database.Read(buffer[:size])
		if err != nil {
			return
		}
		if !l.pass(p, buffer[:n]) {
			continue
		}
		if _, err := p.server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// pass waits as configured and reports whether the answer is passed on.
func (l *link) pass(p *connection, answer []byte) bool {
	l.mu.Lock()
	wait, deaf := l.delay, l.blackhole
	if l.rate > 0 {
		wait += time.Duration(float64(len(answer)) / float64(l.rate) * float64(time.Second))
	}
	l.mu.Unlock()
	if wait > 0 {
		time.Sleep(wait)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !deaf && !p.cut
}

// set configures the link. After a blackhole its connections are reset, because they have lost answers.
func (l *link) set(delay time.Duration, rate int, deaf bool) {
	l.mu.Lock()
	was := l.blackhole
	l.delay, l.rate, l.blackhole = delay, rate, deaf
	l.mu.Unlock()
	if was && !deaf {
		l.reset()
	}
}

// reset closes all connections.
func (l *link) reset() {
	for _, p := range l.all() {
		p.close()
	}
}

// dropAnswers passes the messages under way on, drops their answers, and closes the connections soon after.
func (l *link) dropAnswers() {
	for _, p := range l.all() {
		p.mu.Lock()
		p.cut = true
		p.mu.Unlock()
		time.AfterFunc(200*time.Millisecond, p.close)
	}
}

func (l *link) all() []*connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*connection, 0, len(l.connections))
	for p := range l.connections {
		list = append(list, p)
	}
	return list
}

// cutAfter loses the answer to the message that contains the text, after so many other messages with it.
func (l *link) cutAfter(text []byte, after int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks[string(text)] = &mark{after: after}
}

// watch calls seen for every message to Postgres before it is passed on. nil ends it.
func (l *link) watch(seen func(kind byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = seen
}

func (l *link) close() error {
	err := l.listener.Close()
	l.reset()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

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
