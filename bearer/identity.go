package bearer

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Identity is the subject and the rights of a valid token. A field that does not apply to a token is empty.
type Identity struct {
	Subject      string    // the id of the user or bot; for a token without a user, of the app or key
	Username     string    // the user's e-mail address
	Account      string    // the account that the token is valid in
	Bot          string    // the bot, for a bot's token; "" for an integration token of the account itself
	ClientID     string    // the app that holds the token, or the API key that is the token or obtained it; "" for a user token
	Installation string    // the app's installation; removing it ends the token
	Scopes       []string  // the granted scopes by their canonical names, with the implied ones; roles for tokens of other kinds than apps'
	Permissions  []string  // what the token may do: its scopes, limited by the user's current role
	Audience     []string  // the APIs that the token was requested for (RFC 8707)
	IssuedAt     time.Time // zero: unknown
	ExpiresAt    time.Time // zero: never
}

// ranks are the role scopes of user tokens and API keys, in ascending order. A role includes all lower ones.
var ranks = []string{"guest", "agent", "bot", "admin"}

// HasScope reports whether the token was granted the scope, or a higher role scope.
func (id Identity) HasScope(name string) bool {
	if slices.Contains(id.Scopes, name) {
		return true
	}
	rank := slices.Index(ranks, name)
	return rank >= 0 && slices.ContainsFunc(id.Scopes, func(s string) bool { return slices.Index(ranks, s) > rank })
}

// HasPermission reports whether the token has the permission, such as "conversation:list".
func (id Identity) HasPermission(name string) bool { return slices.Contains(id.Permissions, name) }

// IsFor reports whether the token was requested for this resource (RFC 8707). An origin with and without its trailing slash
// is one resource (RFC 3986 §6.2.3); everything else is compared character by character.
func (id Identity) IsFor(resource string) bool {
	return slices.ContainsFunc(id.Audience, func(a string) bool { return sameResource(a, resource) })
}

// sameResource is a copy of the server's function, because this module imports nothing from the server.
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

// clone returns a deep copy, because requests share one answer.
func (id Identity) clone() Identity {
	id.Scopes, id.Permissions, id.Audience = slices.Clone(id.Scopes), slices.Clone(id.Permissions), slices.Clone(id.Audience)
	return id
}

type contextKey struct{}

// NewContext returns ctx with an identity, as Require does. Tests of handlers use it.
func NewContext(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// FromContext returns the identity that Require put into a request's context; false if the request did not pass Require.
func FromContext(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(contextKey{}).(Identity)
	return id, ok
}
