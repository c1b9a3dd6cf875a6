package web

import (
	"sync"

	"xenoauth/store"
)

// undecided are the tries of this process that are counted, or are about to be, and of which nobody knows yet whether
// they have failed, by what they are counted under. Safe for concurrent use.
type undecided struct {
	mu sync.Mutex
	of map[string]*tries
}

// tries are those under one key. They are kept while there are any, or somebody watches them.
type tries struct {
	n, watchers int
	takenBack   int           // how many were, since somebody watches
	moved       chan struct{} // closed when one of them was taken back, or the last of them is decided
}

func newUndecided() *undecided { return &undecided{of: make(map[string]*tries)} }

// at returns the tries under a key. The lock is held.
func (u *undecided) at(key string) *tries {
	if u.of[key] == nil {
		u.of[key] = &tries{moved: make(chan struct{})}
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
