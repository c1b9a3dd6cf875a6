package faults

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
)

// as adds the credentials of an app to parameters given as name, value, …
func (a app) as(parameters ...string) url.Values {
	v := url.Values{"client_id": {a.ID}, "client_secret": {a.Secret}}
	for i := 0; i+1 < len(parameters); i += 2 {
		v.Set(parameters[i], parameters[i+1])
	}
	return v
}

// obtain sends a token request. of names the credential that it uses up, dependsOn what its product depends on besides.
func (w *workload) obtain(ctx context.Context, how, of string, hangs []string, a app, form url.Values) (*token, reply, Outcome) {
	op := w.begin(Issue, how, of)
	if err := w.history.Write(op); err != nil {
		return nil, reply{err: err}, Wrong
	}
	r := w.client.post(ctx, w.base+"/oauth/token", form)
	outcome := r.tokenOutcome()
	if outcome == OK {
		op.Issued = []string{w.name("t", r.member("access_token"))}
		op.DependsOn = hangs
		if next := r.member("refresh_token"); next != "" {
			op.Issued = append(op.Issued, w.name("r", next))
		}
	}
	op = w.finish(op, r, outcome)
	if err := w.history.Write(op); err != nil {
		return nil, reply{err: err}, Wrong
	}
	if outcome != OK {
		return nil, r, outcome
	}
	return w.keep(op.Issued[0], r.member("access_token"), a), r, OK
}

// authorize gets a code by a user's browser.
func (w *workload) authorize(ctx context.Context, b *browser, a app) *code {
	op := w.begin(Issue, "authorize", "")
	text, r, outcome := b.code(ctx, a)
	if outcome == OK {
		op.Issued = []string{w.name("c", text)}
	}
	w.history.Note(w.finish(op, r, outcome))
	if outcome != OK {
		return nil
	}
	return &code{name: op.Issued[0], text: text, app: a}
}

// exchange redeems a code. A code without an answer is kept for another attempt.
func (w *workload) exchange(ctx context.Context, c *code) (*token, Outcome) {
	form := c.app.as("grant_type", "authorization_code", "code", c.text, "redirect_uri", callback)
	t, r, outcome := w.obtain(ctx, "code", c.name, append([]string{c.name}, c.dependsOn...), c.app, form)
	refresh := r.member("refresh_token")
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case outcome == OK && refresh != "":
		c.family = &family{name: c.name, app: c.app, current: refresh}
		if !c.private {
			w.families = append(w.families, c.family)
		}
	case outcome == Unavailable || outcome == Unknown:
		if !c.private {
			w.codes = append(w.codes, c)
		}
	}
	return t, outcome
}

// clientToken gets a token of the app's own.
func (w *workload) clientToken(ctx context.Context, a app) (*token, Outcome) {
	t, _, outcome := w.obtain(ctx, "client", "", nil, a, a.as("grant_type", "client_credentials", "scope", scopes))
	return t, outcome
}

// refresh rotates the family's token, with so many equal requests at a time. The caller holds the family's lock.
func (w *workload) refresh(ctx context.Context, f *family, at int) Outcome {
	name := w.name("r", f.current)
	if f.first == 0 {
		f.first = w.client.now()
	}
	// Near the end of the grace period equal requests may get two answers, of which the later one is valid.
	if w.client.now() > f.first+grace-2*graceEdge {
		at = 1
	}
	outcomes := make(chan Outcome, at)
	next := make(chan string, at)
	for range at {
		go func() {
			_, r, outcome := w.obtain(ctx, "refresh", name, []string{f.name}, f.app, f.app.as("grant_type", "refresh_token", "refresh_token", f.current))
			next <- r.member("refresh_token")
			outcomes <- outcome
		}()
	}
	all := make([]Outcome, 0, at)
	successor := ""
	for range at {
		all = append(all, <-outcomes)
		if text := <-next; text != "" {
			successor = text
		}
	}
	switch {
	case slices.Contains(all, OK):
		f.current, f.first = successor, 0
		return OK
	case slices.Contains(all, Refused):
		f.ended = true
		return Refused
	}
	return all[0]
}

// check verifies a token, by /api/me or by introspection.
func (w *workload) check(ctx context.Context, t *token, introspect bool) Outcome {
	how := "me"
	if introspect {
		how = "introspect"
	}
	op := w.begin(Verify, how, t.name)
	var r reply
	var outcome Outcome
	if introspect {
		r = w.client.post(ctx, w.base+"/oauth/introspect", w.resource.as("token", t.text))
		outcome = r.introspectOutcome()
	} else {
		r = w.client.bearer(ctx, w.base+"/api/me", t.text)
		outcome = r.meOutcome()
	}
	w.history.Note(w.finish(op, r, outcome))
	return outcome
}

// end records an operation that ends something, before it is sent and after it is answered.
func (w *workload) end(how, of string, do func() (reply, Outcome)) Outcome {
	op := w.begin(End, how, of)
	if err := w.history.Write(op); err != nil {
		return Wrong
	}
	r, outcome := do()
	if err := w.history.Write(w.finish(op, r, outcome)); err != nil {
		return Wrong
	}
	return outcome
}

// revoke revokes a token as its app.
func (w *workload) revoke(ctx context.Context, t *token) Outcome {
	t.ended.Store(true)
	return w.end("revoke", t.name, func() (reply, Outcome) {
		r := w.client.post(ctx, w.base+"/oauth/revoke", t.app.as("token", t.text))
		return r, r.revokeOutcome()
	})
}

// revokeFamily ends a family by its refresh token. The caller holds the family's lock.
func (w *workload) revokeFamily(ctx context.Context, f *family) Outcome {
	f.ended = true
	return w.end("revoke-family", f.name, func() (reply, Outcome) {
		r := w.client.post(ctx, w.base+"/oauth/revoke", f.app.as("token", f.current, "token_type_hint", "refresh_token"))
		return r, r.revokeOutcome()
	})
}

// installer counts the installations of one user that have been removed.
type installer struct {
	mu       sync.Mutex
	removals int // acknowledged removals
}

// installAndRemove installs an app, uses it, and removes it; the caller holds the user's lock. Every credential issued
// meanwhile depends on the installation, whether or not the removal was answered.
func (w *workload) installAndRemove(ctx context.Context, person int) {
	b, v := w.browsers[person], w.installers[person]
	c := w.authorize(ctx, b, w.removable)
	if c == nil {
		return
	}
	c.private = true
	stay := fmt.Sprintf("i%d.%d", person, v.removals)
	c.dependsOn = []string{stay}
	t, outcome := w.exchange(ctx, c)
	if outcome != OK {
		return
	}
	r := w.client.bearer(ctx, w.server.base()+"/api/me", t.text)
	installation := r.member("installation")
	if installation == "" {
		return
	}
	w.check(ctx, t, true)
	t.ended.Store(true)
	if w.end("uninstall", stay, func() (reply, Outcome) { return b.remove(ctx, installation) }) == OK {
		v.removals++
	}
	w.check(ctx, t, false)
	w.check(ctx, t, true)
}

// race presents one code twice at the same time, as a thief would: at most one request gets a token, and it does not last.
func (w *workload) race(ctx context.Context, c *code) error {
	c.private = true
	done := make(chan *token, 2)
	for range 2 {
		go func() {
			t, _ := w.exchange(ctx, c)
			done <- t
		}()
	}
	for range 2 {
		if t := <-done; t != nil {
			t.ended.Store(true)
			w.check(ctx, t, false)
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("race: %w", ctx.Err())
	}
	return nil
}
