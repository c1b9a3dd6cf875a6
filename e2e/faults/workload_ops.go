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

// obtain asks the token endpoint. of is the name of what is used up, hangs what the product hangs on beside it.
func (w *world) obtain(ctx context.Context, how, of string, hangs []string, a app, form url.Values) (*token, reply, Outcome) {
	e := w.begin(Issue, how, of)
	if err := w.ledger.Write(e); err != nil {
		return nil, reply{err: err}, Wrong
	}
	r := w.client.post(ctx, w.base+"/oauth/token", form)
	outcome := r.granted()
	if outcome == OK {
		e.Gained = []string{w.name("t", r.member("access_token"))}
		e.Hangs = hangs
		if next := r.member("refresh_token"); next != "" {
			e.Gained = append(e.Gained, w.name("r", next))
		}
	}
	e = w.finish(e, r, outcome)
	if err := w.ledger.Write(e); err != nil {
		return nil, reply{err: err}, Wrong
	}
	if outcome != OK {
		return nil, r, outcome
	}
	return w.keep(e.Gained[0], r.member("access_token"), a), r, OK
}

// authorize gets a code by a person's browser.
func (w *world) authorize(ctx context.Context, b *browser, a app) *code {
	e := w.begin(Issue, "authorize", "")
	text, r, outcome := b.code(ctx, a)
	if outcome == OK {
		e.Gained = []string{w.name("c", text)}
	}
	w.ledger.Note(w.finish(e, r, outcome))
	if outcome != OK {
		return nil
	}
	return &code{name: e.Gained[0], text: text, app: a}
}

// exchange redeems a code. Without an answer it is kept, to be tried again.
func (w *world) exchange(ctx context.Context, c *code) (*token, Outcome) {
	form := c.app.as("grant_type", "authorization_code", "code", c.text, "redirect_uri", callback)
	t, r, outcome := w.obtain(ctx, "code", c.name, append([]string{c.name}, c.hangs...), c.app, form)
	refresh := r.member("refresh_token")
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case outcome == OK && refresh != "":
		c.family = &family{name: c.name, app: c.app, current: refresh}
		if !c.mine {
			w.families = append(w.families, c.family)
		}
	case outcome == Away || outcome == Lost:
		if !c.mine {
			w.codes = append(w.codes, c)
		}
	}
	return t, outcome
}

// clientToken gets a token of an app itself.
func (w *world) clientToken(ctx context.Context, a app) (*token, Outcome) {
	t, _, outcome := w.obtain(ctx, "client", "", nil, a, a.as("grant_type", "client_credentials", "scope", scopes))
	return t, outcome
}

// refresh rotates the family's token, by so many equal requests at a time. The family is locked.
func (w *world) refresh(ctx context.Context, f *family, at int) Outcome {
	name := w.name("r", f.current)
	if f.first == 0 {
		f.first = w.client.now()
	}
	// Near the end of the grace, and after it, equal requests may have two answers, of which the later one is good.
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
		f.over = true
		return Refused
	}
	return all[0]
}

// check asks whether a token is good: the API that it is for, or introspection.
func (w *world) check(ctx context.Context, t *token, introspect bool) Outcome {
	how := "me"
	if introspect {
		how = "introspect"
	}
	e := w.begin(Check, how, t.name)
	var r reply
	var outcome Outcome
	if introspect {
		r = w.client.post(ctx, w.base+"/oauth/introspect", w.resource.as("token", t.text))
		outcome = r.active()
	} else {
		r = w.client.bearer(ctx, w.base+"/api/me", t.text)
		outcome = r.known()
	}
	w.ledger.Note(w.finish(e, r, outcome))
	return outcome
}

// end writes down that something is to end, does it, and writes down what became of it.
func (w *world) end(how, of string, do func() (reply, Outcome)) Outcome {
	e := w.begin(End, how, of)
	if err := w.ledger.Write(e); err != nil {
		return Wrong
	}
	r, outcome := do()
	if err := w.ledger.Write(w.finish(e, r, outcome)); err != nil {
		return Wrong
	}
	return outcome
}

// revoke ends a token as its app.
func (w *world) revoke(ctx context.Context, t *token) Outcome {
	t.ended.Store(true)
	return w.end("revoke", t.name, func() (reply, Outcome) {
		r := w.client.post(ctx, w.base+"/oauth/revoke", t.app.as("token", t.text))
		return r, r.revoked()
	})
}

// revokeFamily ends a family by its refresh token. The family is locked.
func (w *world) revokeFamily(ctx context.Context, f *family) Outcome {
	f.over = true
	return w.end("revoke-family", f.name, func() (reply, Outcome) {
		r := w.client.post(ctx, w.base+"/oauth/revoke", f.app.as("token", f.current, "token_type_hint", "refresh_token"))
		return r, r.revoked()
	})
}

// visitor is a person who installs an app, uses it and removes it again.
type visitor struct {
	mu    sync.Mutex
	stays int // that are over: they end with a removal that was acknowledged
}

// visit installs an app, uses it, and removes it, as nobody else does with this person and app meanwhile. Whatever was got
// during a stay hangs on it, whether or not the removal was answered, and whoever did it in the end.
func (w *world) visit(ctx context.Context, person int) {
	b, v := w.browsers[person], w.visitors[person]
	c := w.authorize(ctx, b, w.visiting)
	if c == nil {
		return
	}
	c.mine = true
	stay := fmt.Sprintf("i%d.%d", person, v.stays)
	c.hangs = []string{stay}
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
		v.stays++
	}
	w.check(ctx, t, false)
	w.check(ctx, t, true)
}

// race presents one code twice at the same time, as a thief would: at most one gets a token, and it does not last.
func (w *world) race(ctx context.Context, c *code) error {
	c.mine = true
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
