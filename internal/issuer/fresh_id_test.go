package issuer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// takenIDs is a store in which the first ids that are drawn are taken.
type takenIDs struct {
	store.Store
	taken int
	tried map[store.LookupID]bool
}

func (c *takenIDs) CreateClientToken(ctx context.Context, t store.Token) error {
	c.tried[t.ID] = true
	if len(c.tried) <= c.taken {
		return store.ErrConflict
	}
	return c.Store.CreateClientToken(ctx, t)
}

func (c *takenIDs) CreateCode(ctx context.Context, code store.Code) error {
	c.tried[code.ID] = true
	if len(c.tried) <= c.taken {
		return store.ErrConflict
	}
	return c.Store.CreateCode(ctx, code)
}

// TestWithFreshID_TakenIDs: a taken id is replaced by a new one up to maxIDAttempts times; then the error is
// store.ErrUnavailable, which blames neither the client nor the user.
func TestWithFreshID_TakenIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		taken, tried int
		want         error
	}{
		{"none is taken", 0, 1, nil},
		{"two are taken", 2, 3, nil},
		{"all are taken", 100, 3, store.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, issuer.Options{})
			p := params(f.app, "")
			p.Installation = f.installation
			for what, ask := range map[string]func(m *issuer.Manager) error{
				"token": func(m *issuer.Manager) error {
					_, err := m.GenerateAccessToken(t.Context(), oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{ClientID: f.app.ID})
					return err
				},
				"code": func(m *issuer.Manager) error {
					_, err := m.GenerateAuthToken(t.Context(), oauth2.Code, &oauth2.TokenGenerateRequest{ClientID: f.app.ID, UserID: f.user.ID, Scope: "contacts"})
					return err
				},
			} {
				st := &takenIDs{Store: f.store, taken: c.taken, tried: map[store.LookupID]bool{}}
				if err := ask(issuer.New(st, scope.Default(), secret.Format{}, issuer.Options{}).Manager(p)); !errors.Is(err, c.want) {
					t.Errorf("%s: error %v, want %v", what, err, c.want)
				}
				if len(st.tried) != c.tried {
					t.Errorf("%s: %d ids were drawn, want %d", what, len(st.tried), c.tried)
				}
			}
		})
	}
}
