package faults

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// link stands between a server and its Postgres, and can be bad.
type link struct {
	listener net.Listener
	socket   string

	mu    sync.Mutex
	delay time.Duration // of everything that comes back
	rate  int           // bytes a second that come back; 0: all
	deaf  bool          // nothing comes back, and nobody hears why
	marks map[string]*mark
	seen  func(kind byte) // told of each message to Postgres
	pairs map[*pair]bool
}

// mark is text on its way to Postgres after which the answer is cut off.
type mark struct {
	after int // how often it passes before
}

// pair is one connection.
type pair struct {
	server, database net.Conn
	mu               sync.Mutex
	cut              bool // nothing comes back any more
}

func newLink(socket string) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("make link: %w", err)
	}
	l := &link{listener: listener, socket: socket, marks: map[string]*mark{}, pairs: map[*pair]bool{}}
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
	p := &pair{server: server, database: database}
	l.mu.Lock()
	l.pairs[p] = true
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
	delete(l.pairs, p)
	l.mu.Unlock()
}

// close ends both connections, towards the server with a reset.
func (p *pair) close() {
	if tcp, ok := p.server.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = p.server.Close()
	_ = p.database.Close()
}

// forth carries questions, one message at a time.
func (l *link) forth(p *pair) {
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
			// Postgres has the time to commit, and nobody hears of it.
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

// marked says whether the answer to the message is to be cut off.
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

// back carries answers.
func (l *link) back(p *pair) {
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

// pass waits as long as the link is slow, and says whether the answer arrives at all.
func (l *link) pass(p *pair, answer []byte) bool {
	l.mu.Lock()
	wait, deaf := l.delay, l.deaf
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

// be sets how bad the link is. A link that was deaf has lost what was on its way: its connections are of no use.
func (l *link) be(delay time.Duration, rate int, deaf bool) {
	l.mu.Lock()
	was := l.deaf
	l.delay, l.rate, l.deaf = delay, rate, deaf
	l.mu.Unlock()
	if was && !deaf {
		l.reset()
	}
}

// reset cuts all connections off.
func (l *link) reset() {
	for _, p := range l.all() {
		p.close()
	}
}

// silence lets every question pass that is on its way, and cuts its answer off a moment later.
func (l *link) silence() {
	for _, p := range l.all() {
		p.mu.Lock()
		p.cut = true
		p.mu.Unlock()
		time.AfterFunc(200*time.Millisecond, p.close)
	}
}

func (l *link) all() []*pair {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*pair, 0, len(l.pairs))
	for p := range l.pairs {
		list = append(list, p)
	}
	return list
}

// cutAfter cuts off the answer to the message that has the text in it, after so many others with it.
func (l *link) cutAfter(text []byte, after int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks[string(text)] = &mark{after: after}
}

// watch has every message to Postgres told to seen, before it passes. nil ends it.
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
