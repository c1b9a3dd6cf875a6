package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Kind is the kind of an operation.
type Kind string

// The kinds of operations.
const (
	Issue  Kind = "issue"  // Target was used to get Issued
	End    Kind = "end"    // Target, and everything that depends on it, was ended
	Verify Kind = "verify" // a service asked whether Target is valid
	Read   Kind = "read"   // the history was read
	Down   Kind = "down"   // the server's process was dead or stopping from Start to End
)

// Outcome is the result of an operation.
type Outcome string

// The outcomes.
const (
	OK          Outcome = "ok"
	Refused     Outcome = "refused"     // the server answered that Target is dead
	Unavailable Outcome = "unavailable" // 503 with Retry-After
	Unknown     Outcome = "unknown"     // no answer: the connection was refused or cut
	Wrong       Outcome = "wrong"       // an answer that is never right, or none within the client's timeout
)

// Op is an operation of the history. Credentials have names, so that the history holds no secret.
type Op struct {
	ID        int64         `json:"id"`
	Kind      Kind          `json:"kind"`
	Method    string        `json:"method,omitempty"`
	Target    string        `json:"target,omitempty"`
	Issued    []string      `json:"issued,omitempty"`     // an access token first
	DependsOn []string      `json:"depends_on,omitempty"` // what Issued depends on, including Target
	Start     time.Duration `json:"start"`                // on a monotonic clock
	End       time.Duration `json:"end,omitempty"`        // 0: invoked, without a result so far
	Outcome   Outcome       `json:"outcome,omitempty"`
	Detail    string        `json:"detail,omitempty"`
}

// History is a file of operations. An operation for which Write has returned is on disk.
type History struct {
	file    *os.File
	mu      sync.Mutex
	synced  *sync.Cond
	buffer  bytes.Buffer
	written int64 // to the buffer
	durable int64 // on disk
	wake    chan struct{}
	done    chan struct{}
	err     error
}

// NewHistory creates the file.
func NewHistory(path string) (*History, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create history: %w", err)
	}
	h := &History{file: file, wake: make(chan struct{}, 1), done: make(chan struct{})}
	h.synced = sync.NewCond(&h.mu)
	go h.run()
	return h, nil
}

// Write appends an operation and waits until it is on disk. Concurrent calls share one sync.
func (h *History) Write(op Op) error {
	n := h.append(op)
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.durable < n && h.err == nil {
		h.synced.Wait()
	}
	return h.err
}

// Note appends an operation without waiting.
func (h *History) Note(op Op) { h.append(op) }

func (h *History) append(op Op) int64 {
	line, err := json.Marshal(op)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = errors.Join(h.err, err)
	h.buffer.Write(append(line, '\n'))
	h.written++
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return h.written
}

func (h *History) run() {
	defer close(h.done)
	for range h.wake {
		time.Sleep(2 * time.Millisecond) // gathers operations for one sync
		h.flush()
	}
	h.flush()
}

func (h *History) flush() {
	h.mu.Lock()
	lines, written := bytes.Clone(h.buffer.Bytes()), h.written
	h.buffer.Reset()
	h.mu.Unlock()
	_, err := h.file.Write(lines)
	err = errors.Join(err, h.file.Sync())
	h.mu.Lock()
	h.durable, h.err = written, errors.Join(h.err, err)
	h.synced.Broadcast()
	h.mu.Unlock()
}

// Close writes the rest and closes the file.
func (h *History) Close() error {
	close(h.wake)
	<-h.done
	return errors.Join(h.err, h.file.Close())
}

// Ops reads back all operations so far.
func (h *History) Ops() ([]Op, error) {
	if err := h.Write(Op{Kind: Read}); err != nil {
		return nil, fmt.Errorf("write history: %w", err)
	}
	return ReadHistory(h.file.Name())
}

// ReadHistory reads the operations of a file, one for each id: the result replaces the invocation.
func ReadHistory(path string) ([]Op, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	var ops []Op
	at := map[int64]int{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		var op Op
		if err := json.Unmarshal(lines.Bytes(), &op); err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		if i, invoked := at[op.ID]; invoked && op.ID != 0 {
			ops[i] = op
			continue
		}
		at[op.ID] = len(ops)
		ops = append(ops, op)
	}
	return ops, lines.Err()
}
