// Package ratelimit counts failures and shares what is costly, so that an attacker who guesses or floods slows down only
// their own network. README.md lists every limit.
//
// It owns the counts: those for which a second replica must not give a second chance are rows of the database (store.Limits),
// the others are in memory. It refuses, with *Error, an attempt or a change above a limit, and more work of one network than
// may wait. It knows no HTTP: a caller is a Client, and an account an e-mail address in normal form.
package ratelimit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"xenoauth/store"
)

// Limits are the settings: how many failures, and how many costly successes, a caller may have before it must wait. The zero
// value of a field means its default.
type Limits struct {
	LogIn   int // wrong passwords for one account from one network, or from one browser that the account knows, in 15 minutes: 10
	Account int // wrong passwords for one account from all networks in 24 hours: 100
	IP      int // wrong passwords, and as many failed sign-ups, from one network in 15 minutes: 100
	SignUps int // sign-ups from one network in 24 hours: 1000
	Client  int // unknown clients, secrets, codes and refresh tokens from one network in a minute, counted by each replica: 300
	Changes int // changes that one user makes on pages in an hour, counted by each replica: 600
}

const (
	guessWindow  = 15 * time.Minute
	dayWindow    = 24 * time.Hour
	clientWindow = time.Minute
	changeWindow = time.Hour
)

func (l Limits) orDefault() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.LogIn, 10}, {&l.Account, 100}, {&l.IP, 100}, {&l.SignUps, 1000}, {&l.Client, 300}, {&l.Changes, 600}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return l
}

// Client is where a request comes from.
type Client struct {
	Network string // of its address, as Network returns it
	Browser string // id of a browser that has logged in to the account before; empty for any other browser and for programs
}

// Limiter is safe for concurrent use.
type Limiter struct {
	limits  Limits
	rows    store.Limits
	key     []byte // makes keys in the database unreadable
	pending *pending
	gate    *gate
	refused *tallies // by network, and by public part of a credential
	changes changes
}

// New returns a limiter that counts in rows what all replicas count together. They must share key; the database holds no
// e-mail address and no network in the clear.
func New(rows store.Limits, key []byte, limits Limits) *Limiter {
	limits = limits.orDefault()
	return &Limiter{
		limits: limits, rows: rows, key: mac(key, "limits"), pending: newPending(), gate: newGate(),
		refused: newTallies(limits.Client, clientWindow), changes: newChanges(limits.Changes),
	}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// mark stands for a value of a kind in a key of the database.
func (l *Limiter) mark(kind, value string) string {
	return base64.RawURLEncoding.EncodeToString(mac(l.key, kind+"\x00"+value)[:16])
}

// limit is a limit in the database for one value of a kind.
func (l *Limiter) limit(kind, value string, limit int) store.Limit {
	return store.Limit{Key: kind + ":" + l.mark(kind, value), Most: limit, Window: guessWindow}
}

// own is a limit that a success resets: the user proves to be the owner of what is counted.
func (l *Limiter) own(kind, value string) store.Limit {
	own := l.limit(kind, value, l.limits.LogIn)
	own.Resets = true
	return own
}

// pair is a limit for one account from one network: attempts from another network do not use it up.
func (l *Limiter) pair(kind, value, network string) store.Limit {
	pair := l.own(kind, value)
	pair.Key += ":" + l.mark("ip", network)
	return pair
}

// account is the limit for one account from all networks. A success does not reset it: each log-in of the owner would give
// an attacker with many addresses as many guesses again.
func (l *Limiter) account(email string) store.Limit {
	account := l.limit("account", email, l.limits.Account)
	account.Window = dayWindow
	return account
}

func (l *Limiter) network(network string) store.Limit { return l.limit("ip", network, l.limits.IP) }
