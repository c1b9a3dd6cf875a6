package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// ClientCredentials are what a client presented.
type ClientCredentials struct {
	ID      string
	Secrets []secret.Text // ways to read the one secret that was sent, in the order to try; nil: none was sent
}

// dummyHash is compared when there is nothing to compare with, so that an unknown client costs what a known one does.
var dummyHash = func() []byte {
	sum := secret.Format{}.New(secret.Client).Hash()
	return sum[:]
}()

// refusalTime is how long every refusal takes at least. To read the row of a known client takes some 10 µs longer than
// to find none; waiting for a fixed moment hides that (BATTERY.md K7).
const refusalTime = 3 * time.Millisecond

// Client authenticates a client: a public app by its id alone, everybody else by a live secret. A public app that
// presents a secret is refused (it has none, so somebody guesses). ErrClient, or store.ErrUnavailable.
func (v *Verifier) Client(ctx context.Context, presented ClientCredentials) (store.Client, error) {
	start := time.Now()
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
		return store.Client{}, refuse(ctx, start)
	case public && len(presented.Secrets) == 0:
		return c, nil
	case public || !matches:
		return store.Client{}, refuse(ctx, start)
	}
	v.usage.note(candidate.ID, v.store.Now())
	return c, nil
}

// refuse is ErrClient at the moment when every refusal is told, or when nobody waits for it any more.
func refuse(ctx context.Context, start time.Time) error {
	select {
	case <-time.After(refusalTime - time.Since(start)):
	case <-ctx.Done():
	}
	return ErrClient
}

// parseSecret takes the first reading that is a client secret by its form; the lookup id of none of them is zero.
func (v *Verifier) parseSecret(readings []secret.Text) (secret.Credential, bool) {
	for _, r := range readings {
		if c, ok := v.format.Parse(r.Reveal()); ok && c.Kind == secret.Client {
			return c, true
		}
	}
	return secret.Credential{}, false
}
