// Package ratelimit counts failures and queues costly work, so that an attacker who guesses passwords or sends many requests slows
// down only the attacker's own network. README.md lists every limit.
//
// It owns the counts: those for which a second replica must not give a second chance are rows of the database (store.Limits),
// the others are in memory. It refuses, with *Error, an attempt or a change above a limit, and more work of one network than
// may wait. It knows no HTTP: a caller is a Client, and an account an e-mail address in normal form.
package ratelimit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"xenoauth/store"
)

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
		refused: limits.tally(refusedNetwork), changes: newChanges(limits),
	}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// mark stands for a value in a key of the database.
func (l *Limiter) mark(kind name, value string) string {
	return base64.RawURLEncoding.EncodeToString(mac(l.key, string(kind)+"\x00"+value)[:16])
}
