package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	callback = "https://app.test/cb"
	scopes   = "contacts"
	password = "canary-correct-horse-battery"
	people   = 3
)

// app is an app as its developer knows it.
type app struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// world is the people and apps of a server, and everything that was got for them.
type world struct {
	server   *server
	client   *client
	ledger   *Ledger
	base     string // where tokens are got and checked: the server, or what somebody put before it
	idle     func() // closes the idle connections of the latter
	browsers []*browser
	plain    app // tokens that never expire
	expiring app // tokens that expire, and refresh tokens
	visiting app // installed and removed all the time
	marked   app // the one that faults pick out; tokens never expire
	rotating app // the same, with refresh tokens
	resource app // the resource server
	ids      atomic.Int64

	mu          sync.Mutex
	names       map[string]string // by text
	secrets     []string          // that are no credentials of the usual form
	tokens      []*token
	codes       []*code     // whose outcome is unknown
	families    []*family   // that can be refreshed
	visitors    []*visitor  // by person
	counts      map[Act]int // acknowledged or answered
	unknown     int
	away        int
	slowest     time.Duration // of those told to come back
	slowestGood time.Duration
	lastGood    map[string]time.Duration // when the first success of each kind since then was answered
	since       time.Duration
}

// token is an access token that was acknowledged.
type token struct {
	name, text string
	app        app
	ended      atomic.Bool // somebody has begun to end it
}

// code is an authorization code on its way.
type code struct {
	name, text string
	app        app
	hangs      []string // what its product hangs on, too
	mine       bool     // the load leaves it, and its family, to the one who got it
	family     *family  // that it produced
}

// family is a chain of refresh tokens. It goes by the name of its code.
type family struct {
	mu      sync.Mutex
	name    string
	app     app
	current string        // the text of the refresh token
	first   time.Duration // when the current one was first sent; 0: never
	over    bool
}

// begins forgets everything but people and apps.
func (w *world) begins(ledger *Ledger) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ledger = ledger
	w.names, w.counts, w.lastGood = map[string]string{}, map[Act]int{}, map[string]time.Duration{}
	w.tokens, w.codes, w.families = nil, nil, nil
}

// populate registers people and apps by the command line and logs the people in.
func (w *world) populate(ctx context.Context) error {
	s := w.server
	w.secrets = []string{password}
	owner := ""
	for i := range people {
		b, err := newBrowser(w.client, s.issuer(), fmt.Sprintf("person%d@users.test", i))
		if err != nil {
			return err
		}
		if _, err := s.command(ctx, password, "user", "add", b.email, "--password-stdin"); err != nil {
			return err
		}
		if err := b.logIn(ctx, password); err != nil {
			return err
		}
		w.browsers = append(w.browsers, b)
		w.visitors = append(w.visitors, &visitor{})
		w.secrets = append(w.secrets, b.secrets()...)
		owner = b.email
	}
	for _, a := range []struct {
		to   *app
		args []string
	}{
		{&w.plain, []string{"app", "add", "Plain"}},
		{&w.expiring, []string{"app", "add", "Expiring", "--expiring"}},
		{&w.visiting, []string{"app", "add", "Visiting"}},
		{&w.marked, []string{"app", "add", "Marked"}},
		{&w.rotating, []string{"app", "add", "Rotating", "--expiring"}},
		{&w.resource, []string{"resource", "add", "API"}},
	} {
		args := append(a.args, "--json")
		if a.args[0] == "app" {
			args = append(args, "--owner", owner, "--redirect-uri", callback)
		}
		out, err := s.command(ctx, "", args...)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(out, a.to); err != nil || a.to.Secret == "" {
			return fmt.Errorf("xenoauth %v printed no client: %w", a.args, err)
		}
		w.secrets = append(w.secrets, a.to.Secret)
	}
	return nil
}

// name gives a text its name in the ledger: the same text, the same name.
func (w *world) name(letter, text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	name, known := w.names[text]
	if !known {
		name = fmt.Sprintf("%s%d", letter, len(w.names)+1)
		w.names[text] = name
	}
	return name
}

// begin is a line of the ledger before its request is sent.
func (w *world) begin(act Act, how, of string) Entry {
	return Entry{ID: w.ids.Add(1), Act: act, How: how, Of: of, Start: w.client.now()}
}

// finish completes a line with the reply.
func (w *world) finish(e Entry, r reply, outcome Outcome) Entry {
	e.End, e.Outcome = r.end, outcome
	if r.start != 0 {
		e.Start = r.start
	}
	if outcome != OK {
		e.Detail = r.detail()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch outcome {
	case OK:
		w.counts[e.Act]++
		// Only what was asked after the fault tells that it is over.
		if _, seen := w.lastGood[e.How]; !seen && e.Start >= w.since {
			w.lastGood[e.How] = e.End
		}
	case Refused:
		w.counts[e.Act]++
	case Away:
		w.away++
	case Lost:
		w.unknown++
	}
	if outcome == Away {
		w.slowest = max(w.slowest, e.End-e.Start)
	} else if outcome != Lost {
		w.slowestGood = max(w.slowestGood, e.End-e.Start)
	}
	return e
}

// goodAgain says since when all of the hows work again, and whether they do. It counts from the last call of watch.
func (w *world) goodAgain(hows ...string) (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := time.Duration(0)
	for _, how := range hows {
		at, seen := w.lastGood[how]
		if !seen {
			return 0, false
		}
		last = max(last, at)
	}
	return last - w.since, true
}

// watch forgets what worked until now.
func (w *world) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.lastGood)
	w.since = w.client.now()
}

// keep remembers a token that was acknowledged.
func (w *world) keep(name, text string, a app) *token {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &token{name: name, text: text, app: a}
	w.tokens = append(w.tokens, t)
	return t
}

// down notes that the server's process is dead, or was told to end, from a moment until now.
func (w *world) down(from time.Duration) {
	w.ledger.Note(Entry{ID: w.ids.Add(1), Act: Down, Start: from, End: w.client.now()})
}
