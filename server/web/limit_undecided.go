package web

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"xenoauth/store"
)

// undecided are the tries of this process that are counted, or are about to be, and of which nobody knows yet whether
// they have failed, by what they are counted under. Safe for concurrent use.
type undecided struct {
	patience time.Duration // how long a try waits for others
	mu       sync.Mutex
	of       map[string]*tries
}

// tries are those under one key. They are kept while there are any, or somebody watches them.
type tries struct {
	n, watchers int
	takenBack   int              // how many were, since somebody watches
	moved       chan struct{}    // closed when one of them was taken back, or the last of them is decided
	turns       [3]chan struct{} // each holds one while a request has that turn
}

// turn is what one at a time may do under a key. Who takes a try back makes room, and does not wait behind those who need it.
type turn int

const (
	toCount turn = iota
	toTakeBack
	toLook
)

func newUndecided() *undecided {
	return &undecided{patience: turnPatience, of: make(map[string]*tries)}
}

// at returns the tries under a key. The lock is held.
func (u *undecided) at(key string) *tries {
	if u.of[key] == nil {
		u.of[key] = &tries{moved: make(chan struct{}), turns: [...]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)}}
	}
	return u.of[key]
}

// forget drops what nobody needs. The lock is held.
func (u *undecided) forget(key string) {
	if t := u.of[key]; t.n == 0 && t.watchers == 0 {
		delete(u.of, key)
	}
}

// move wakes those who wait. The lock is held.
func (t *tries) move() {
	close(t.moved)
	t.moved = make(chan struct{})
}

// watch has what is taken back counted until the returned function is called.
func (u *undecided) watch(limits []store.Limit) (unwatch func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range limits {
		u.at(l.Key).watchers++
	}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, l := range limits {
			u.of[l.Key].watchers--
			u.forget(l.Key)
		}
	}
}

// takeTurn waits until nobody else in this process does the same under these keys. Under each lies one row that everybody
// locks. Who waited for it in the database would hold a connection and use up the patience of its request, so that one
// address that floods the log-in could take the connections from everybody. release must be called; the error is the
// context's.
func (u *undecided) takeTurn(ctx context.Context, to turn, limits []store.Limit) (release func(), err error) {
	unwatch := u.watch(limits)
	var taken []chan struct{}
	release = func() {
		for _, t := range taken {
			<-t
		}
		unwatch()
	}
	for _, t := range u.turns(to, limits) {
		select {
		case t <- struct{}{}: // nobody's, whatever is left of the context
		default:
			select {
			case t <- struct{}{}:
			case <-ctx.Done():
				release()
				return nil, ctx.Err()
			}
		}
		taken = append(taken, t)
	}
	return release, nil
}

// wait is takeTurn for as long as a try waits. Another request has the turn and is at the database, so the wait is a part of
// the time that the request may spend on that.
func (u *undecided) wait(ctx context.Context, to turn, limits []store.Limit) (release func(), err error) {
	turn, waited := store.Spend(ctx, u.patience)
	defer waited()
	return u.takeTurn(turn, to, limits)
}

// turns are those under the keys, which are watched.
func (u *undecided) turns(to turn, limits []store.Limit) (turns []chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range inOrder(limits) {
		turns = append(turns, u.of[l.Key].turns[to])
	}
	return turns
}

// inOrder is the one order in which turns are taken, so that nobody waits for one who waits for them.
func inOrder(limits []store.Limit) []store.Limit {
	return slices.SortedFunc(slices.Values(limits), func(a, b store.Limit) int { return cmp.Compare(a.Key, b.Key) })
}

// begin notes a try before anybody else can see that it was counted.
func (u *undecided) begin(limits []store.Limit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range limits {
		u.at(l.Key).n++
	}
}

// end notes that a try is decided, or was not counted after all.
func (u *undecided) end(limits []store.Limit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range limits {
		t := u.of[l.Key]
		if t.n--; t.n == 0 {
			t.move()
			u.forget(l.Key)
		}
	}
}

// tookBack wakes those who wait: there is room for one of them now.
func (u *undecided) tookBack(limits []store.Limit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range limits {
		if t := u.of[l.Key]; t != nil {
			t.takenBack++
			t.move()
		}
	}
}

// look returns what is closed when it is worth asking again, nil if no try under these keys is undecided, and how many
// were taken back so far. The keys are watched.
func (u *undecided) look(limits []store.Limit) (moved <-chan struct{}, takenBack int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range limits {
		t := u.of[l.Key]
		takenBack += t.takenBack
		if moved == nil && t.n > 0 {
			moved = t.moved
		}
	}
	return moved, takenBack
}
