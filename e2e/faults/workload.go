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

// app is a registered app.
type app struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// workload is the users and apps of a server, and the credentials issued to them.
type workload struct {
	server    *server
	client    *client
	history   *History
	base      string // where tokens are issued and verified: the server, or a proxy in front of it
	idle      func() // closes the idle connections of that proxy
	browsers  []*browser
	plain     app // tokens that never expire
	expiring  app // tokens that expire, and refresh tokens
	removable app // installed and removed again and again
	targeted  app // used by nemeses; its tokens do not expire
	rotating  app // the same, with refresh tokens
	resource  app // the resource server
	ids       atomic.Int64

	mu           sync.Mutex
	names        map[string]string // by text
	secrets      []string          // that do not have the form of a credential
	tokens       []*token
	codes        []*code      // with unknown outcome
	families     []*family    // that can be refreshed
	installers   []*installer // by user
	counts       map[Kind]int // acknowledged or answered
	unknown      int
	unavailable  int
	slowest      time.Duration // answer with 503
	slowestOther time.Duration
	lastGood     map[string]time.Duration // when the first success of each method was answered since the last call of watch
	since        time.Duration
}

// token is an acknowledged access token.
type token struct {
	name, text string
	app        app
	ended      atomic.Bool // a request to end it may have been sent
}

// code is an authorization code.
type code struct {
	name, text string
	app        app
	dependsOn  []string // what its product depends on, besides the code
	private    bool     // the generator leaves the code and its family alone
	family     *family  // that it produced
}

// family is a chain of refresh tokens, named by its code.
type family struct {
	mu      sync.Mutex
	name    string
	app     app
	current string        // the text of the refresh token
	first   time.Duration // when the current one was first sent; 0: never
	ended   bool
}

// reset forgets everything but users and apps.
func (w *workload) reset(ledger *History) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = ledger
	w.names, w.counts, w.lastGood = map[string]string{}, map[Kind]int{}, map[string]time.Duration{}
	w.tokens, w.codes, w.families = nil, nil, nil
}

// populate adds users and apps by the command line and logs the users in.
func (w *workload) populate(ctx context.Context) error {
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
		w.installers = append(w.installers, &installer{})
		w.secrets = append(w.secrets, b.secrets()...)
		owner = b.email
	}
	for _, a := range []struct {
		to   *app
		args []string
	}{
		{&w.plain, []string{"app", "add", "Plain"}},
		{&w.expiring, []string{"app", "add", "Expiring", "--expiring"}},
		{&w.removable, []string{"app", "add", "Visiting"}},
		{&w.targeted, []string{"app", "add", "Marked"}},
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

// name returns the name of a credential in the history.
func (w *workload) name(letter, text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	name, known := w.names[text]
	if !known {
		name = fmt.Sprintf("%s%d", letter, len(w.names)+1)
		w.names[text] = name
	}
	return name
}

// begin is the invocation of an operation.
func (w *workload) begin(act Kind, how, of string) Op {
	return Op{ID: w.ids.Add(1), Kind: act, Method: how, Target: of, Start: w.client.now()}
}

// finish completes an operation with the reply.
func (w *workload) finish(op Op, r reply, outcome Outcome) Op {
	op.End, op.Outcome = r.end, outcome
	if r.start != 0 {
		op.Start = r.start
	}
	if outcome != OK {
		op.Detail = r.detail()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch outcome {
	case OK:
		w.counts[op.Kind]++
		// Only a request sent after the fault shows that it is over.
		if _, seen := w.lastGood[op.Method]; !seen && op.Start >= w.since {
			w.lastGood[op.Method] = op.End
		}
	case Refused:
		w.counts[op.Kind]++
	case Unavailable:
		w.unavailable++
	case Unknown:
		w.unknown++
	}
	if outcome == Unavailable {
		w.slowest = max(w.slowest, op.End-op.Start)
	} else if outcome != Unknown {
		w.slowestOther = max(w.slowestOther, op.End-op.Start)
	}
	return op
}

// recovered reports whether each method has succeeded since the last call of watch, and after what time.
func (w *workload) recovered(hows ...string) (time.Duration, bool) {
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

// watch starts to wait for successes of every method.
func (w *workload) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.lastGood)
	w.since = w.client.now()
}

// keep remembers an acknowledged token.
func (w *workload) keep(name, text string, a app) *token {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &token{name: name, text: text, app: a}
	w.tokens = append(w.tokens, t)
	return t
}

// down records that the server's process was dead or stopping from a time until now.
func (w *workload) down(from time.Duration) {
	w.history.Note(Op{ID: w.ids.Add(1), Kind: Down, Start: from, End: w.client.now()})
}
