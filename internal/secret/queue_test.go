package secret

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// line is a queue whose only slot is taken, and its computations in the order in which they got the slot.
type line struct {
	t       *testing.T
	q       *queue
	release func()
	order   chan string
	turn    chan struct{} // one for each computation that may end
	ended   chan struct{} // one for each that has ended
}

func newLine(t *testing.T) *line {
	t.Helper()
	l := &line{t: t, q: newQueue(1), order: make(chan string, 1000), turn: make(chan struct{}), ended: make(chan struct{})}
	release, err := l.q.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.release = release
	return l
}

// join queues a computation, and returns as soon as it waits.
func (l *line) join(address, account string) {
	l.t.Helper()
	w, err := l.q.join(requester{address, account})
	if err != nil {
		l.t.Fatal(err)
	}
	go func() {
		<-w.granted
		l.order <- address + "/" + account
		<-l.turn
		l.q.release(w.requester)
		l.ended <- struct{}{}
	}()
}

// run lets n computations run one after the other and returns their names.
func (l *line) run(n int) (order []string) {
	if l.release != nil {
		l.release()
		l.release = nil
	}
	for range n {
		order = append(order, <-l.order)
		l.turn <- struct{}{}
		<-l.ended
	}
	return order
}

// TestQueue_SharesBetweenAddresses: of 100 queued computations of one address, at most one runs before that of an address that
// arrives later. Addresses take turns, and so do the accounts of an address.
func TestQueue_SharesBetweenAddresses(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	for i := range 100 {
		l.join("flood", fmt.Sprint(i))
	}
	if got := l.run(1); got[0] != "flood/0" {
		t.Fatalf("first is %v", got)
	}
	running := <-l.order // the slot is taken when the others arrive
	l.join("other", "x")
	l.join("third", "y")
	l.turn <- struct{}{}
	<-l.ended
	if got := l.run(4); running != "flood/1" || !slices.Equal(got, []string{"other/x", "third/y", "flood/2", "flood/3"}) {
		t.Errorf("after %s: %v", running, got)
	}
	l.run(96)
	if n := len(l.q.addresses); n != 0 {
		t.Errorf("%d addresses are kept after the last computation", n)
	}
}

func TestQueue_SharesBetweenAccounts(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	for range 5 {
		l.join("nat", "busy")
	}
	l.join("nat", "quiet")
	l.join("nat", "quiet")
	l.join("else", "z")
	want := []string{"nat/busy", "else/z", "nat/quiet", "nat/busy", "nat/quiet", "nat/busy", "nat/busy", "nat/busy"}
	if got := l.run(8); !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

// TestQueue_UsesAllSlots: a single address gets all slots. An address that arrives later gets the next free slot before one that
// already has a slot.
func TestQueue_UsesAllSlots(t *testing.T) {
	t.Parallel()
	q := newQueue(3)
	join := func(address string) *waiter {
		w, err := q.join(requester{address, ""})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	granted := func(w *waiter) bool {
		select {
		case <-w.granted:
			return true
		default:
			return false
		}
	}
	first := []*waiter{join("a"), join("a"), join("a"), join("a")}
	if !granted(first[0]) || !granted(first[1]) || !granted(first[2]) || granted(first[3]) {
		t.Fatal("a single address does not get all three slots")
	}
	second := []*waiter{join("b"), join("b")}
	q.release(first[0].requester)
	if !granted(second[0]) || granted(first[3]) {
		t.Error("the address without a slot is not first")
	}
	q.release(first[1].requester) // each uses one now, and a computation of a's has just ended
	if !granted(second[1]) || granted(first[3]) {
		t.Error("of two addresses with one slot each, the one served last is first")
	}
	q.release(first[2].requester)
	if !granted(first[3]) {
		t.Error("a free slot is not used")
	}
}

// TestQueue_Full: MaxQueued computations of one address wait, and one more is refused at once. A caller that leaves makes space
// for another, and other addresses are not affected.
func TestQueue_Full(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	from := func(ctx context.Context, address string) context.Context { return WithAddress(ctx, address) }
	leaving, leave := context.WithCancel(from(t.Context(), "flood"))
	left := make(chan error)
	joined := func(n int) {
		for {
			l.q.mu.Lock()
			a := l.q.addresses["flood"]
			full := a != nil && a.waiting == n
			l.q.mu.Unlock()
			if full {
				return
			}
			runtime.Gosched()
		}
	}
	go func() {
		_, err := l.q.take(leaving)
		left <- err
	}()
	joined(1)
	for i := range MaxQueued - 1 {
		l.join("flood", fmt.Sprint(i))
	}
	if _, err := l.q.take(from(t.Context(), "flood")); !errors.Is(err, ErrQueueFull) {
		t.Fatalf("one more: %v", err)
	}
	l.join("other", "x")
	leave()
	if err := <-left; !errors.Is(err, ErrQueueTimeout) || !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that left: %v", err)
	}
	l.join("flood", "in its place")
	if got := l.run(MaxQueued + 1); got[1] != "other/x" || got[MaxQueued] != "flood/in its place" {
		t.Errorf("second is %s, last %s", got[1], got[MaxQueued])
	}
	if n := len(l.q.addresses); n != 0 {
		t.Errorf("%d addresses are kept after the last computation", n)
	}
}

// TestQueue_Concurrent: many callers, some of which leave, never hold more slots than there are, and return all of them.
func TestQueue_Concurrent(t *testing.T) {
	t.Parallel()
	const slots = 3
	q := newQueue(slots)
	var running, most atomic.Int64
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(WithAccount(WithAddress(t.Context(), fmt.Sprint("a", i%7)), fmt.Sprint("u", i%3)))
			defer cancel()
			if i%4 == 0 {
				go cancel()
			}
			release, err := q.take(ctx)
			if err != nil {
				if i%4 != 0 || !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			n := running.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			running.Add(-1)
			release()
		})
	}
	all.Wait()
	if most.Load() > slots || q.free != slots || len(q.addresses) != 0 {
		t.Errorf("%d ran at once; %d of %d slots are free at the end, and %d addresses are kept", most.Load(), q.free, slots, len(q.addresses))
	}
}

// TestPasswords_ShareOfAddress: Hash, Verify and VerifyDummy wait in the queue of the context's address.
func TestPasswords_ShareOfAddress(t *testing.T) {
	t.Parallel()
	pw := NewPasswords(PasswordOptions{Concurrency: 1, Params: quick})
	stored, err := pw.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	release, err := pw.queue.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range MaxQueued {
		if _, err := pw.queue.join(requester{"flood", ""}); err != nil {
			t.Fatal(err)
		}
	}
	full := WithAccount(WithAddress(t.Context(), "flood"), "ada@example.org")
	for name, call := range map[string]func() error{
		"Hash":        func() error { _, err := pw.Hash(full, "correct horse"); return err },
		"Verify":      func() error { _, _, err := pw.Verify(full, stored, "correct horse"); return err },
		"Verify none": func() error { _, _, err := pw.Verify(full, "", "correct horse"); return err },
		"VerifyDummy": func() error { return pw.VerifyDummy(full, "correct horse") },
	} {
		if err := call(); !errors.Is(err, ErrQueueFull) || strings.Contains(err.Error(), "horse") {
			t.Errorf("%s: %v", name, err)
		}
	}
	release()
}
