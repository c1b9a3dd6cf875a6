package bearer

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Identity is who a good token stands for and what it may do. What a token does not have is empty.
type Identity struct {
	Subject      string    // the user's or bot's id; the app's or key's own for a token without a user
	Username     string    // the user's e-mail address
	Account      string    // the account that the token works in
	Bot          string    // the bot, for a bot's token; "" for an integration token that stands for the account alone
	ClientID     string    // the app that the token was given to; the API key that is the token or that got it; "" for a user token
	Installation string    // the app's installation, which its removal ends
	Scopes       []string  // what was granted, by the canonical names and with what that implies; roles for all but apps' tokens
	Permissions  []string  // what it may do: the scopes, as far as the user's role goes today
	Audience     []string  // the APIs that the token was asked for (RFC 8707)
	IssuedAt     time.Time // zero: not told
	ExpiresAt    time.Time // zero: never
}

// ranks are the role scopes of user tokens and API keys. They cascade: a token of one has all that stand before it.
var ranks = []string{"guest", "agent", "bot", "admin"}

// HasScope says whether the token was granted the scope, or a role scope above it.
func (id Identity) HasScope(name string) bool {
	if slices.Contains(id.Scopes, name) {
		return true
	}
	rank := slices.Index(ranks, name)
	return rank >= 0 && slices.ContainsFunc(id.Scopes, func(s string) bool { return slices.Index(ranks, s) > rank })
}

// HasPermission says whether the token has the permission, such as "conversation:list".
func (id Identity) HasPermission(name string) bool { return slices.Contains(id.Permissions, name) }

// IsFor reports whether the token was asked for this resource (RFC 8707). An origin with and without its trailing slash
// is one resource (RFC 3986 §6.2.3); everything else is compared character by character.
func (id Identity) IsFor(resource string) bool {
	return slices.ContainsFunc(id.Audience, func(a string) bool { return sameResource(a, resource) })
}

// sameResource is a copy of the function of that name in the server, from which this module imports nothing.
func sameResource(a, b string) bool {
	return a == b || trimOrigin(a) == trimOrigin(b)
}

func trimOrigin(uri string) string {
	_, rest, found := strings.Cut(uri, "://")
	if found && len(rest) > 1 && strings.IndexAny(rest, "/?#") == len(rest)-1 && strings.HasSuffix(rest, "/") {
		return strings.TrimSuffix(uri, "/")
	}
	return uri
}

// clone is a copy of the caller's own: answers are shared among requests.
func (id Identity) clone() Identity {
	id.Scopes, id.Permissions, id.Audience = slices.Clone(id.Scopes), slices.Clone(id.Permissions), slices.Clone(id.Audience)
	return id
}

type contextKey struct{}

// NewContext is ctx with an identity, as Require makes it: for tests of the handlers behind it.
func NewContext(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// FromContext returns the identity that Require put into a request's context; false if the request did not pass Require.
func FromContext(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(contextKey{}).(Identity)
	return id, ok
}
