package verify

import (
	"context"
	"errors"
	"fmt"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// ClientCredentials are the id and the secret that a client presented.
type ClientCredentials struct {
	ID      string
	Secrets []secret.Text // the possible readings of the one secret that was sent, in the order to try; nil: none was sent
}

// dummyHash is compared with if the client is unknown, so that its answer takes as long as that of a known one.
var dummyHash = func() []byte {
	sum := secret.Format{}.New(secret.Client).Hash()
	return sum[:]
}()

// Client authenticates a client: a public app by its id alone, every other client by a live secret. A public app that
// presents a secret is refused: it has none, so the request is an attempt to guess. Errors are ErrClient or
// store.ErrUnavailable.
func (v *Verifier) Client(ctx context.Context, presented ClientCredentials) (store.Client, error) {
	// Text that cannot be an id is not looked up. People send tokens and passwords in the place of the id, and these must not
	// get into a statement, which the database may log.
	if !secret.ValidPublicID("app_", presented.ID) && !secret.ValidPublicID("rs_", presented.ID) {
		return store.Client{}, ErrClient
	}
	candidate, wellFormed := v.parseSecret(presented.Secrets)
	c, err := v.store.ClientByID(ctx, presented.ID, candidate.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Client{}, fmt.Errorf("look up client: %w", err)
	}
	if err != nil || len(c.Secret) == 0 {
		c.Secret = dummyHash
	}
	matches := candidate.Matches(c.Secret) && wellFormed
	c.Secret = nil
	public := c.App != nil && !c.App.Confidential
	switch {
	case err != nil || !c.Live:
		return store.Client{}, ErrClient
	case public && len(presented.Secrets) == 0:
		return c, nil
	case public || !matches:
		return store.Client{}, ErrClient
	}
	v.usage.note(candidate.ID, v.store.Now())
	return c, nil
}

// parseSecret returns the first reading that has the form of a client secret; without one, the zero Credential.
func (v *Verifier) parseSecret(readings []secret.Text) (secret.Credential, bool) {
	for _, r := range readings {
		if c, ok := v.format.Parse(r.Reveal()); ok && c.Kind == secret.Client {
			return c, true
		}
	}
	return secret.Credential{}, false
}
