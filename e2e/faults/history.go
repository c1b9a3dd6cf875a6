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

// Act is what an entry of the ledger is about.
type Act string

// The acts.
const (
	Issue Act = "issue" // Of was used to get Gained
	End   Act = "end"   // Of, and everything that hangs on it, was ended
	Check Act = "check" // is Of good?
	Read  Act = "read"  // the ledger was read
	Down  Act = "down"  // the server's process was dead, or told to stop, from Start to End
)

// Outcome is what became of a request.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"
	Refused Outcome = "refused" // Of is dead, says the server
	Away    Outcome = "away"    // come back later: 503 with Retry-After
	Lost    Outcome = "lost"    // no answer: the connection was refused or cut
	Wrong   Outcome = "wrong"   // no answer that is ever right, or none in a long time
)

// Entry is a line of the ledger. Credentials are named by the oracle, never by their text.
type Entry struct {
	ID      int64         `json:"id"`
	Act     Act           `json:"act"`
	How     string        `json:"how,omitempty"`
	Of      string        `json:"of,omitempty"`
	Gained  []string      `json:"gained,omitempty"` // an access token first
	Hangs   []string      `json:"hangs,omitempty"`  // what Gained hangs on, Of included
	Start   time.Duration `json:"start"`            // on a monotonic clock
	End     time.Duration `json:"end,omitempty"`    // 0: it was sent, and no more is known
	Outcome Outcome       `json:"outcome,omitempty"`
	Detail  string        `json:"detail,omitempty"`
}

// Ledger is a file of entries. What Write returned for is on the disk.
type Ledger struct {
	file   *os.File
	mu     sync.Mutex
	synced *sync.Cond
	buffer bytes.Buffer
	last   int64 // written to the buffer
	safe   int64 // on the disk
	wake   chan struct{}
	done   chan struct{}
	err    error
}

// NewLedger makes a file.
func NewLedger(path string) (*Ledger, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("make ledger: %w", err)
	}
	l := &Ledger{file: file, wake: make(chan struct{}, 1), done: make(chan struct{})}
	l.synced = sync.NewCond(&l.mu)
	go l.run()
	return l, nil
}

// Write adds an entry and waits until it is on the disk. Those who write at the same time share the wait.
func (l *Ledger) Write(e Entry) error {
	n := l.add(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.safe < n && l.err == nil {
		l.synced.Wait()
	}
	return l.err
}

// Note adds an entry that nobody waits for.
func (l *Ledger) Note(e Entry) { l.add(e) }

func (l *Ledger) add(e Entry) int64 {
	line, err := json.Marshal(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
	l.buffer.Write(line)
	l.buffer.WriteByte('\n')
	l.last++
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return l.last
}

func (l *Ledger) run() {
	defer close(l.done)
	for range l.wake {
		// Whoever comes in the next moment is written with the others.
		time.Sleep(2 * time.Millisecond)
		l.flush()
	}
	l.flush()
}

func (l *Ledger) flush() {
	l.mu.Lock()
	lines, last := bytes.Clone(l.buffer.Bytes()), l.last
	l.buffer.Reset()
	l.mu.Unlock()
	_, err := l.file.Write(lines)
	err = errors.Join(err, l.file.Sync())
	l.mu.Lock()
	l.safe, l.err = last, errors.Join(l.err, err)
	l.synced.Broadcast()
	l.mu.Unlock()
}

// Close writes what is left.
func (l *Ledger) Close() error {
	close(l.wake)
	<-l.done
	return errors.Join(l.err, l.file.Close())
}

// Read reads the file back, everything written so far included.
func (l *Ledger) Read() ([]Entry, error) {
	if err := l.Write(Entry{Act: Read}); err != nil {
		return nil, fmt.Errorf("write ledger: %w", err)
	}
	return ReadLedger(l.file.Name())
}

// ReadLedger reads the entries of a file, one for each request: a line that it was sent is taken for its end if there is
// no other.
func ReadLedger(path string) ([]Entry, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	defer file.Close()
	var entries []Entry
	at := map[int64]int{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read ledger: %w", err)
		}
		if i, sent := at[e.ID]; sent && e.ID != 0 {
			entries[i] = e
			continue
		}
		at[e.ID] = len(entries)
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	return entries, nil
}
