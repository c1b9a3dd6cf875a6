package web

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/store"
)

// FailureLimits are how many failures are borne before a caller must wait. The zero value of a field means its default.
type FailureLimits struct {
	LogIn  int // wrong passwords for one account, or from one browser that it knows, in 15 minutes: 10
	IP     int // wrong passwords, and as many failed sign-ups, from one client address in 15 minutes: 100
	Client int // unknown clients, secrets, codes and refresh tokens from one client address in a minute, counted by each replica: 300
}

const (
	guessWindow  = 15 * time.Minute
	clientWindow = time.Minute
	// turnPatience is how long a try waits for others that are looked at. With what it then waits for its own turn it stays
	// within the time that the server gives a request.
	turnPatience = 2 * time.Second
	// settlePatience is what a request may wait for the database at least, to take its try back. With databasePatience it
	// stays within the 3 s in which everybody is answered.
	settlePatience = 300 * time.Millisecond
)

func (f FailureLimits) orDefault() FailureLimits {
	for _, d := range []struct {
		field *int
		value int
	}{{&f.LogIn, 10}, {&f.IP, 100}, {&f.Client, 300}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return f
}

// LimitError says that too much has failed, and when to come back. Its answer is 429 with Retry-After.
type LimitError struct {
	Wait  time.Duration
	Cause error // what would have been answered otherwise; for the log
}

// Error is for the log.
func (e *LimitError) Error() string {
	text := "429 wait " + e.Wait.Round(time.Second).String()
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Sentence says it to people.
func (e *LimitError) Sentence() string {
	wait := plural(e.seconds(), "second")
	if e.Wait > 90*time.Second {
		wait = plural(int(math.Ceil(e.Wait.Minutes())), "minute")
	}
	return "There were too many failed tries. Wait " + wait + " and try again."
}

// Announce sets Retry-After, for a handler that renders a page of its own.
func (e *LimitError) Announce(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(e.seconds()))
}

func (e *LimitError) seconds() int { return max(1, int(math.Ceil(e.Wait.Seconds()))) }

// limits is what counts failures: those that a second replica must not give a second chance for in the database, the
// others in memory.
type limits struct {
	FailureLimits
	rows      store.Limits
	key       []byte // makes what is counted unreadable in the database
	clients   *tallies
	undecided *undecided
}

func newLimits(rows store.Limits, key []byte, bounds FailureLimits) *limits {
	bounds = bounds.orDefault()
	return &limits{
		FailureLimits: bounds, rows: rows, key: seal(key, "limits"), clients: newTallies(bounds.Client, clientWindow), undecided: newUndecided(),
	}
}

func seal(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// bound is a limit of the database's for one thing of a kind.
func (l *limits) bound(kind, thing string, most int) store.Limit {
	return store.Limit{Key: kind + ":" + base64.RawURLEncoding.EncodeToString(seal(l.key, kind+"\x00"+thing)[:16]), Most: most, Window: guessWindow}
}

// own is a limit for one account, whose user makes good what others failed at.
func (l *limits) own(kind, thing string) store.Limit {
	own := l.bound(kind, thing, l.LogIn)
	own.Resets = true
	return own
}

// Try is a try at a password that was counted before it was known to fail, so that tries at the same moment cannot slip
// past the bound together. A try of which nothing more is said has failed.
type Try struct {
	t      *Toolkit
	limits []store.Limit
}

// TryLogIn counts a try at the password of an e-mail address, before the password is looked at. It is counted for the
// address, existing or not, and for the client's IP. A browser that has logged in to this address before is counted by
// itself instead, so that nobody can lock people out of where they always log in. *LimitError: wait.
func (t *Toolkit) TryLogIn(r *http.Request, email string) (*Try, error) {
	address, err := directory.NormalizeEmail(email)
	if err != nil {
		return t.TryProgram(r, email)
	}
	if device, known := t.device(r, address); known {
		return t.try(r, t.limits.own("device", device+address))
	}
	return t.TryProgram(r, address)
}

// TryProgram is TryLogIn for a program, which keeps no cookies: it is counted for the address and for the client's IP,
// together with the browsers that the address does not know.
func (t *Toolkit) TryProgram(r *http.Request, email string) (*Try, error) {
	ip := t.limits.bound("ip", network(r), t.limits.IP)
	address, err := directory.NormalizeEmail(email)
	if err != nil { // opens nobody, but makes as much work
		return t.try(r, ip)
	}
	return t.try(r, t.limits.own("account", address), ip)
}

// TryPassword counts a try at the password of the visitor, who is logged in already. *LimitError: wait.
func (t *Toolkit) TryPassword(r *http.Request, userID string) (*Try, error) {
	return t.try(r, t.limits.own("password", userID))
}

// TrySignUp counts a sign-up, which tells whether an address is in use, for the client's IP. *LimitError: wait.
func (t *Toolkit) TrySignUp(r *http.Request) (*Try, error) {
	return t.try(r, t.limits.bound("signup", network(r), t.limits.IP))
}

// try counts a try. What fills a bound may be tries that are not decided yet, and right: whoever comes while there are such
// waits for them. So a crowd that knows the password is let in, however many come at once.
func (t *Toolkit) try(r *http.Request, limits ...store.Limit) (*Try, error) {
	ctx, cancel := context.WithTimeout(r.Context(), turnPatience)
	defer cancel()
	defer t.limits.undecided.watch(limits)()
	for {
		_, before := t.limits.undecided.look(limits)
		wait, err := t.limits.count(ctx, r, limits)
		if err != nil {
			return nil, fmt.Errorf("count a try: %w", err)
		}
		if wait == 0 {
			return &Try{t, limits}, nil
		}
		moved, now := t.limits.undecided.look(limits)
		switch {
		case moved != nil:
			select {
			case <-moved:
			case <-ctx.Done():
			}
		case now == before:
			return nil, &LimitError{Wait: wait}
		} // else the one that was in its way was right, just now
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("wait for the tries before this one: %w", err)
		}
	}
}

// count counts a try unless that goes over a bound; then it returns how long to wait. The try is undecided until its
// request is answered. It waits for its turn until patience ends, and then its error is that. Whoever has the turn is at the
// database, so the wait is a part of what the request may spend on it.
func (l *limits) count(patience context.Context, r *http.Request, limits []store.Limit) (wait time.Duration, err error) {
	if wait, err = l.rows.Waiting(r.Context(), limits...); err != nil || wait > 0 {
		return wait, err
	}
	turn, waited := store.Spend(patience, turnPatience)
	release, err := l.undecided.takeTurn(turn, toCount, limits)
	waited()
	if err != nil {
		return 0, err
	}
	defer release()
	l.undecided.begin(limits)
	end := sync.OnceFunc(func() { l.undecided.end(limits) })
	context.AfterFunc(r.Context(), end)
	if wait, err = l.rows.Attempt(r.Context(), limits...); err != nil || wait > 0 {
		end()
	}
	return wait, err
}

// Succeeded takes the try back, and remembers the browser as one of the user's.
func (y *Try) Succeeded(w http.ResponseWriter, r *http.Request, user store.User) {
	y.Proven(r)
	y.t.rememberDevice(w, r, user.Email)
}

// Proven takes the try back, and remembers nobody.
func (y *Try) Proven(r *http.Request) {
	y.takeBack(r, y.t.limits.rows.Forgive)
}

// Undecided takes the try back when it was not found out whether it was right. It stays counted if the client itself hung
// up: else everybody could make us work without being counted.
func (y *Try) Undecided(r *http.Request) {
	if r.Context().Err() == nil {
		y.takeBack(r, y.t.limits.rows.TakeBack)
	}
}

// takeBack takes the try back, also when the request has used up its patience with the database: a try that stayed counted
// because the database was slow would lock out somebody who has done nothing wrong. Then it lets others know, or logs that
// the try stays counted, which is no reason to refuse what has succeeded.
func (y *Try) takeBack(r *http.Request, settle func(context.Context, ...store.Limit) error) {
	ctx := store.WithReserve(context.WithoutCancel(r.Context()))
	store.EnsurePatience(ctx, settlePatience)
	turn, waited := store.Spend(ctx, settlePatience/2)
	release, err := y.t.limits.undecided.takeTurn(turn, toTakeBack, y.limits)
	waited()
	if err == nil { // else the database finds an order
		defer release()
	}
	err = settle(ctx, y.limits...)
	y.t.limits.undecided.tookBack(y.limits)
	if err != nil {
		y.t.log.WarnContext(r.Context(), "a try stays counted as a failure", "request", RequestID(r.Context()), "error", err)
	}
}

// Refused counts a request that was refused for an unknown client, secret, code or refresh token, by client IP, and
// returns the error to answer with: cause, or a *LimitError when too many were refused. It is asked only when a request
// has failed, so that a right credential is never told to wait. The secrets have 256 bits; the bound keeps guessers from
// making work, which is why each replica may count by itself.
func (t *Toolkit) Refused(r *http.Request, cause error) error {
	if wait := t.limits.clients.add(network(r), time.Now()); wait > 0 {
		return &LimitError{Wait: wait, Cause: cause}
	}
	return cause
}

// RefusedKey is Refused for a key or bot secret: it also counts by key, whoever presents it, so that guessing from many
// addresses is slow, too. key is the credential that was presented, of which its public beginning counts, or the name of
// the bot whose secret it should have been. An address that must wait already counts nowhere else:
// it could crowd out of memory what was counted of others, and of itself.
func (t *Toolkit) RefusedKey(r *http.Request, key string, cause error) error {
	refused := t.Refused(r, cause)
	var limited *LimitError
	if errors.As(refused, &limited) {
		return refused
	}
	if wait := t.limits.clients.add("key "+publicPart(key), time.Now()); wait > 0 {
		return &LimitError{Wait: wait, Cause: cause}
	}
	return refused
}

// publicPart is as much of a credential as is no secret: prefix, letter and lookup id.
func publicPart(credential string) string {
	const mostHead, idLen = 8 + 2, 22
	head := min(strings.IndexByte(credential, '_')+1, mostHead) // what is counted must not be long
	return credential[:min(len(credential), head+idLen)]
}

// network is the part of the client's address that one customer of a provider has: all of IPv4, the /64 of IPv6.
func network(r *http.Request) string {
	ip, err := netip.ParseAddr(ClientIP(r))
	if err != nil {
		return ""
	}
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ""
	}
	return prefix.String()
}
