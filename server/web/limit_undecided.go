package web

import (
	"sync"

	"xenoauth/store"
)

// undecided are the tries of this process that are counted, or are about to be, and of which nobody knows yet whether
// they have failed, by what they are counted under. Safe for concurrent use.
type undecided struct {
	mu        sync.Mutex
	of        map[string]*tries
	takenBack int // how many were, so far
}

// tries are those under one key.
type tries struct {
	n     int
	moved chan struct{} // closed when one of them was taken back, or the last of them is decided
}

func newUndecided() *undecided { return &undecided{of: make(map[string]*tries)} }

// begin notes a try before anybody else can see that it was counted.
func (u *undecided) begin(limits []store.Limit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range limits {
		if u.of[l.Key] == nil {
			u.of[l.Key] = &tries{moved: make(chan struct{})}
		}
		u.of[l.Key].n++
	}
}

// end notes that a try is decided, or was not counted after all.
func (u *undecided) end(limits []store.Limit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range limits {
		t := u.of[l.Key]
		if t.n--; t.n == 0 {
			close(t.moved)
			delete(u.of, l.Key)
		}
	}
}

// tookBack wakes those who wait: there is room for one of them now.
func (u *undecided) tookBack(limits []store.Limit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.takenBack++
	for _, l := range limits {
		if t := u.of[l.Key]; t != nil {
			close(t.moved)
			t.moved = make(chan struct{})
		}
	}
}

// look returns what is closed when it is worth asking again, nil if no try under these keys is undecided, and how many
// tries were taken back so far.
func (u *undecided) look(limits []store.Limit) (moved <-chan struct{}, takenBack int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range limits {
		if t := u.of[l.Key]; t != nil {
			return t.moved, u.takenBack
		}
	}
	return nil, u.takenBack
}
