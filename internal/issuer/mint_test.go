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

// crowded is a store in which the first ids that are minted are taken.
type crowded struct {
	store.Store
	taken int
	tried map[store.LookupID]bool
}

func (c *crowded) CreateClientToken(ctx context.Context, t store.Token) error {
	c.tried[t.ID] = true
	if len(c.tried) <= c.taken {
		return store.ErrConflict
	}
	return c.Store.CreateClientToken(ctx, t)
}

func (c *crowded) CreateCode(ctx context.Context, code store.Code) error {
	c.tried[code.ID] = true
	if len(c.tried) <= c.taken {
		return store.ErrConflict
	}
	return c.Store.CreateCode(ctx, code)
}

// TestTakenIDs: an id that is taken is minted anew, a few times, and then nobody is blamed.
func TestTakenIDs(t *testing.T) {
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
			ctx := issuer.WithFacts(t.Context(), issuer.Facts{Installation: f.installation, Client: store.Client{ID: f.app.ID, App: &f.app, Live: true}})
			for what, ask := range map[string]func(i *issuer.Issuer) error{
				"token": func(i *issuer.Issuer) error {
					_, err := i.GenerateAccessToken(ctx, oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{ClientID: f.app.ID})
					return err
				},
				"code": func(i *issuer.Issuer) error {
					_, err := i.GenerateAuthToken(ctx, oauth2.Code, &oauth2.TokenGenerateRequest{ClientID: f.app.ID, UserID: f.user.ID, Scope: "contacts"})
					return err
				},
			} {
				st := &crowded{Store: f.store, taken: c.taken, tried: map[store.LookupID]bool{}}
				if err := ask(issuer.New(st, scope.Default(), secret.Format{}, issuer.Options{})); !errors.Is(err, c.want) {
					t.Errorf("%s: error %v, want %v", what, err, c.want)
				}
				if len(st.tried) != c.tried {
					t.Errorf("%s: %d ids were minted, want %d", what, len(st.tried), c.tried)
				}
			}
		})
	}
}
