package web

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/store"
)

// FailureLimits are how many failures are borne before a caller must wait, and how often costly requests may succeed. The
// zero value of a field means its default.
type FailureLimits struct {
	LogIn   int // wrong passwords for one account from one client address, or from one browser that the account knows, in 15 minutes: 10
	Account int // wrong passwords for one account from all addresses in 24 hours: 100
	IP      int // wrong passwords, and as many failed sign-ups, from one client address in 15 minutes: 100
	SignUps int // sign-ups from one client address in 24 hours: 1000
	Client  int // unknown clients, secrets, codes and refresh tokens from one client address in a minute, counted by each replica: 300
}

const (
	guessWindow  = 15 * time.Minute
	dayWindow    = 24 * time.Hour
	clientWindow = time.Minute
	// gatePatience is how long a try waits for a place among those of its network. With turnPatience and the time that a
	// password waits to be hashed it stays within the server's ReadTimeout.
	gatePatience = 5 * time.Second
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
	}{{&f.LogIn, 10}, {&f.Account, 100}, {&f.IP, 100}, {&f.SignUps, 1000}, {&f.Client, 300}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return f
}

// limits is what counts failures: those that a second replica must not give a second chance for in the database, the
// others in memory.
type limits struct {
	FailureLimits
	rows      store.Limits
	key       []byte // makes what is counted unreadable in the database
	clients   *tallies
	undecided *undecided
	gate      *gate
}

func newLimits(rows store.Limits, key []byte, bounds FailureLimits) *limits {
	bounds = bounds.orDefault()
	return &limits{
		FailureLimits: bounds, rows: rows, key: seal(key, "limits"), clients: newTallies(bounds.Client, clientWindow), undecided: newUndecided(), gate: newGate(),
	}
}

func seal(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// mark stands for a thing of a kind in a key: the database holds no address in the clear.
func (l *limits) mark(kind, thing string) string {
	return base64.RawURLEncoding.EncodeToString(seal(l.key, kind+"\x00"+thing)[:16])
}

// bound is a limit of the database's for one thing of a kind.
func (l *limits) bound(kind, thing string, most int) store.Limit {
	return store.Limit{Key: kind + ":" + l.mark(kind, thing), Most: most, Window: guessWindow}
}

// own is a limit for one account, whose user makes good what others failed at.
func (l *limits) own(kind, thing string) store.Limit {
	own := l.bound(kind, thing, l.LogIn)
	own.Resets = true
	return own
}

// pair is a limit for one account from one network: a stranger elsewhere does not use it up.
func (l *limits) pair(kind, thing, network string) store.Limit {
	pair := l.own(kind, thing)
	pair.Key += ":" + l.mark("ip", network)
	return pair
}

// account is the limit for one account from everywhere. A success does not reset it: each log-in of the owner would give
// those who guess from many addresses as many guesses again.
func (l *limits) account(email string) store.Limit {
	account := l.bound("account", email, l.Account)
	account.Window = dayWindow
	return account
}

func (l *limits) address(network string) store.Limit { return l.bound("ip", network, l.IP) }

// Try is a try at a password that was counted before it was known to fail, so that tries at the same moment cannot slip
// past the bound together. A try of which nothing more is said has failed.
type Try struct {
	t      *Toolkit
	limits []store.Limit
	leave  func() // gives up the place among those of its network
}

// TryLogIn counts a try at the password of an e-mail address, before the password is looked at: for the address, existing
// or not, together with the client's network; for the address alone, in a day; and for the network alone. A browser that has
// logged in to this address before is counted by itself instead, so that the owner gets in where they always log in,
// whatever others do.
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

// TryProgram is TryLogIn for a program, which keeps no cookies.
func (t *Toolkit) TryProgram(r *http.Request, email string) (*Try, error) {
	address, err := directory.NormalizeEmail(email)
	if err != nil { // opens nobody, but makes as much work
		return t.try(r, t.limits.address(network(r)))
	}
	return t.tryAccount(r, address, t.limits.pair("pair", address, network(r)))
}

// TryPassword counts a try at the password of the visitor, who is logged in already. It has a count of its own, so that a
// stolen session does not keep the owner from logging in. *LimitError: wait.
func (t *Toolkit) TryPassword(r *http.Request, user store.User) (*Try, error) {
	if device, known := t.device(r, user.Email); known {
		return t.try(r, t.limits.own("device-password", device+user.ID))
	}
	return t.tryAccount(r, user.Email, t.limits.pair("password", user.ID, network(r)))
}

// tryAccount counts a try under a limit of its own, for the account from everywhere, and for the network.
func (t *Toolkit) tryAccount(r *http.Request, email string, own store.Limit) (*Try, error) {
	try, err := t.try(r, own, t.limits.account(email), t.limits.address(network(r)))
	var limited *LimitError
	if errors.As(err, &limited) && limited.Wait > guessWindow { // no other of the three waits so long
		limited.Reason = "This account is locked, because there were too many wrong passwords for it today."
		limited.Advice = "Log in from a browser in which you have logged in before, or ask the operator of this server to unlock the account."
	}
	return try, err
}

// TrySignUp counts a sign-up for the client's network: those that fail, since they reveal whether an address is in use, and
// in a day all, since each makes rows that stay. *LimitError: wait.
func (t *Toolkit) TrySignUp(r *http.Request) (*Try, error) {
	all := t.limits.bound("signups", network(r), t.limits.SignUps)
	all.Window, all.Keeps = dayWindow, true
	try, err := t.try(r, t.limits.bound("signup", network(r), t.limits.IP), all)
	var limited *LimitError
	if errors.As(err, &limited) && limited.Wait > guessWindow {
		limited.Reason = "There were too many sign-ups from your network today."
		limited.Advice = "Ask the operator of this server to add you."
	}
	return try, err
}

// ParkTurn is the turn of a request that stores something for a browser that has not logged in: those of a network write
// with one connection at a time. holder stands for the network in the row. release must be called.
func (t *Toolkit) ParkTurn(r *http.Request) (holder string, release func(), err error) {
	holder = "ip:" + t.limits.mark("park", network(r))
	release, err = t.limits.undecided.wait(r.Context(), toCount, []store.Limit{{Key: "park " + holder}})
	if err != nil {
		return "", nil, fmt.Errorf("%w: wait for other requests of the network: %w", store.ErrUnavailable, err)
	}
	return holder, release, nil
}

// try counts a try. What fills a bound may be tries that are not decided yet, and right: whoever comes while there are such
// waits for them. So a crowd that knows the password is let in, however many come at once.
func (t *Toolkit) try(r *http.Request, limits ...store.Limit) (_ *Try, err error) {
	leave, err := t.limits.enter(r)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			leave()
		}
	}()
	ctx, cancel := context.WithTimeout(r.Context(), t.limits.undecided.patience)
	defer cancel()
	defer t.limits.undecided.watch(limits)()
	for {
		_, before := t.limits.undecided.look(limits)
		wait, err := t.limits.count(ctx, r, limits)
		if err != nil {
			return nil, fmt.Errorf("count a try: %w", err)
		}
		if wait == 0 {
			return &Try{t, limits, leave}, nil
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

// errGateTimeout is the error of a request that waited too long for a place.
var errGateTimeout = errors.New("no place among the requests of this network")

// enter waits for a place among the requests of the client's network, which is left when the try is decided, or its request
// answered.
func (l *limits) enter(r *http.Request) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(r.Context(), l.gate.patience)
	defer cancel()
	leave, err = l.gate.enter(ctx, network(r))
	if err != nil && !errors.Is(err, errGateFull) {
		err = fmt.Errorf("%w: %w", errGateTimeout, err)
	}
	if err == nil {
		context.AfterFunc(r.Context(), leave)
	}
	return leave, err
}

// count counts a try unless that goes over a bound; then it returns how long to wait. The try is undecided until its
// request is answered. It waits for its turn until patience ends, and then its error is that. Whoever has the turn is at the
// database, so the wait is a part of what the request may spend on it.
func (l *limits) count(patience context.Context, r *http.Request, limits []store.Limit) (wait time.Duration, err error) {
	// A network looks with one connection at a time, however many tries it sends.
	release, err := l.undecided.wait(patience, toLook, []store.Limit{{Key: "network " + network(r)}})
	if err != nil {
		return 0, err
	}
	wait, err = l.rows.Waiting(r.Context(), limits...)
	release()
	if err != nil || wait > 0 {
		return wait, err
	}
	if release, err = l.undecided.wait(patience, toCount, limits); err != nil {
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
	y.leave()
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
func network(r *http.Request) string { return NetworkOf(ClientIP(r)) }

// NetworkOf is the part of an address, with or without a port, that one customer of a provider has; "" for any other
// text.
func NetworkOf(address string) string {
	ip, ok := parseIP(address)
	if !ok {
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
