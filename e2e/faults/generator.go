package faults

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// generator generates operations of every kind.
type generator struct {
	world    *workload
	stop     context.CancelFunc
	saturate atomic.Bool // each worker sends the next request at once; otherwise it waits in between
	workers  sync.WaitGroup
}

const (
	// retryDelay is how long a worker waits after a failure, so that it does not flood a dead server.
	retryDelay = 60 * time.Millisecond
	// idleDelay is how long a worker waits at most between requests while no fault is due.
	idleDelay = 500 * time.Millisecond
)

func startGenerator(ctx context.Context, w *workload, workers int) *generator {
	stopping, stop := context.WithCancel(ctx)
	l := &generator{world: w, stop: stop}
	for i := range workers {
		l.workers.Go(func() {
			for n := i; stopping.Err() == nil; n++ {
				// An operation that has begun is finished: ctx, not stopping.
				wait := retryDelay + rand.N(retryDelay)
				if l.act(ctx, n) {
					wait = rand.N(idleDelay)
					if l.saturate.Load() {
						continue
					}
				}
				select {
				case <-time.After(wait):
				case <-stopping.Done():
				}
			}
		})
	}
	return l
}

// end stops the generator after the operations under way.
func (l *generator) end() {
	l.stop()
	l.workers.Wait()
}

// act runs one operation of the mix and reports whether it succeeded.
func (l *generator) act(ctx context.Context, n int) bool {
	w := l.world
	b := w.browsers[n%len(w.browsers)]
	switch p := rand.IntN(100); {
	case p < 18:
		_, outcome := w.clientToken(ctx, w.plain)
		return outcome == OK
	case p < 30:
		return l.grant(ctx, b, w.plain)
	case p < 36:
		return l.grant(ctx, b, w.expiring)
	case p < 50:
		return l.refresh(ctx)
	case p < 53:
		if c := w.authorize(ctx, b, w.plain); c != nil {
			return w.race(ctx, c) == nil
		}
		return false
	case p < 56:
		person := n % len(w.browsers)
		if !w.installers[person].mu.TryLock() {
			return true
		}
		defer w.installers[person].mu.Unlock()
		w.installAndRemove(ctx, person)
		return true
	case p < 66:
		return l.revoke(ctx)
	}
	if t := w.anyToken(); t != nil {
		return w.check(ctx, t, n%2 == 0) != Unknown
	}
	_, outcome := w.clientToken(ctx, w.expiring)
	return outcome == OK
}

// grant gets a code and redeems it.
func (l *generator) grant(ctx context.Context, b *browser, a app) bool {
	w := l.world
	c := w.authorize(ctx, b, a)
	if c == nil {
		return false
	}
	_, outcome := w.exchange(ctx, c)
	return outcome == OK
}

// refresh rotates a family's token, sometimes by two requests at once.
func (l *generator) refresh(ctx context.Context) bool {
	w := l.world
	w.mu.Lock()
	if len(w.families) == 0 {
		w.mu.Unlock()
		return l.grant(ctx, w.browsers[0], w.expiring)
	}
	f := w.families[rand.IntN(len(w.families))]
	w.mu.Unlock()
	if !f.mu.TryLock() {
		return true
	}
	defer f.mu.Unlock()
	switch p := rand.IntN(20); {
	case f.ended:
		w.forget(f)
		return true
	case p == 0:
		outcome := w.revokeFamily(ctx, f)
		w.forget(f)
		return outcome == OK
	case p < 4:
		return w.refresh(ctx, f, 2) == OK
	}
	return w.refresh(ctx, f, 1) == OK
}

func (w *workload) forget(f *family) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, other := range w.families {
		if other == f {
			w.families[i] = w.families[len(w.families)-1]
			w.families = w.families[:len(w.families)-1]
			return
		}
	}
}

// revoke ends a token between two verifications: a server that caches the first answer fails the second.
func (l *generator) revoke(ctx context.Context) bool {
	w := l.world
	t := w.anyToken()
	if t == nil || t.ended.Load() {
		return true
	}
	w.check(ctx, t, true)
	w.check(ctx, t, false)
	outcome := w.revoke(ctx, t)
	w.check(ctx, t, true)
	w.check(ctx, t, false)
	return outcome == OK
}

func (w *workload) anyToken() *token {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tokens) == 0 {
		return nil
	}
	return w.tokens[rand.IntN(len(w.tokens))]
}

// settle resolves unknown outcomes and verifies every token since number from, those that were to end twice.
func (w *workload) settle(ctx context.Context, from int) {
	w.mu.Lock()
	codes, families := w.codes, w.families
	w.codes = nil
	w.mu.Unlock()
	each(codes, func(c *code) {
		for range 5 {
			if _, outcome := w.exchange(ctx, &code{name: c.name, text: c.text, app: c.app, dependsOn: c.dependsOn, private: true}); outcome == OK || outcome == Refused {
				return
			}
		}
	})
	each(families, func(f *family) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for range 5 {
			if f.ended || f.first == 0 || w.refresh(ctx, f, 1) == OK {
				return
			}
		}
	})
	w.mu.Lock()
	tokens := w.tokens[from:]
	old := w.tokens[:from]
	w.mu.Unlock()
	each(tokens, func(t *token) {
		w.check(ctx, t, false)
		if t.ended.Load() {
			w.check(ctx, t, true)
		}
	})
	sample := make([]*token, 0, 300)
	for range min(300, len(old)) {
		sample = append(sample, old[rand.IntN(len(old))])
	}
	each(sample, func(t *token) { w.check(ctx, t, true) })
}

// tour runs every operation once, one after the other.
func (w *workload) tour(ctx context.Context) {
	b := w.browsers[0]
	w.clientToken(ctx, w.plain)
	if c := w.authorize(ctx, b, w.rotating); c != nil {
		c.private = true
		if w.exchange(ctx, c); c.family != nil {
			w.refresh(ctx, c.family, 1)
		}
	}
	w.installAndRemove(ctx, 0)
	if t, outcome := w.clientToken(ctx, w.expiring); outcome == OK {
		w.check(ctx, t, false)
		w.revoke(ctx, t)
		w.check(ctx, t, true)
	}
}

// each calls do for all, a few at a time.
func each[T any](all []T, do func(T)) {
	const hands = 16
	var workers sync.WaitGroup
	next := make(chan T)
	for range hands {
		workers.Go(func() {
			for v := range next {
				do(v)
			}
		})
	}
	for _, v := range all {
		next <- v
	}
	close(next)
	workers.Wait()
}
