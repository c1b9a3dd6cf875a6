package ratelimit

import (
	"strings"
	"time"
)

// Refused counts a refusal of an unknown client, secret, code or refresh token, by network. It returns the error to answer
// with: cause, or *Error if there were too many. Call it only after a request has failed, so that a valid credential is never
// limited. The secrets have 256 bits; the limit keeps guessing from making work, which is why each replica may count by
// itself.
func (l *Limiter) Refused(from string, cause error) error {
	if wait := l.refused.add(from, time.Now()); wait > 0 {
		return &Error{Wait: wait, Cause: cause}
	}
	return cause
}

// RefusedKey is Refused for an API key or a bot's secret: it also counts by key, whichever network presents it, so that
// guessing from many addresses is slow as well. key is the presented credential, of which only the public part counts, or the
// e-mail address of the bot. A network that must wait already counts under no key: it could push other counts, and its own,
// out of memory.
func (l *Limiter) RefusedKey(from, key string, cause error) error {
	now := time.Now()
	if wait := l.refused.add(from, now); wait > 0 {
		return &Error{Wait: wait, Cause: cause}
	}
	if wait := l.refused.add("key "+publicPart(key), now); wait > 0 {
		return &Error{Wait: wait, Cause: cause}
	}
	return cause
}

// publicPart is the part of a credential that is no secret: prefix, letter and lookup id.
func publicPart(credential string) string {
	const maxHead, idLen = 8 + 2, 22
	head := min(strings.IndexByte(credential, '_')+1, maxHead) // a key must not be long
	return credential[:min(len(credential), head+idLen)]
}
