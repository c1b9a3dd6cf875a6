package verify_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
	"xenoauth/internal/verify"
	"xenoauth/store"
)

const issuerURL = "https://auth.test"

var sharedSecret = secret.Text("a secret of thirty-two bytes or more")

// countingStore counts the reads of signing keys and of user tokens.
type countingStore struct {
	store.Store
	keys, rows int
}

func (c *countingStore) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	c.keys++
	return c.Store.SigningKeys(ctx)
}

func (c *countingStore) UserRefreshByID(ctx context.Context, id store.LookupID) (store.UserAccess, error) {
	c.rows++
	return c.Store.UserRefreshByID(ctx, id)
}

// jwtFixture is a verifier that knows the keys, and a user's token by each algorithm.
type jwtFixture struct {
	*verify.Verifier
	store  *countingStore
	user   store.User
	tokens map[string]string // by algorithm
}

func newJWTFixture(t testing.TB) jwtFixture {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	st := &countingStore{Store: dbtest.Open(t, dbtest.SQLite(t))}
	now := st.Now()
	f := jwtFixture{store: st, tokens: map[string]string{}}
	f.user = store.User{ID: secret.NewUserID(), Email: "ursula@users.test", Name: "Ursula", CreatedAt: now, PasswordAt: now}
	must(st.CreateUser(ctx, operator, f.user, store.Account{ID: secret.NewPublicID("acc_"), Name: "Ursula", Plan: "standard", CreatedAt: now}))
	for _, algorithm := range []string{"ES256", "HS256"} {
		keys := signing.New(st, signing.Options{Issuer: issuerURL, Algorithm: algorithm, Secret: sharedSecret, SealingKey: []byte(strings.Repeat("k", 32))})
		i := issuer.New(st, scope.Default(), secret.Format{}, issuer.Options{Keys: keys})
		pair, err := i.NewUserPair(ctx, operator, f.user, store.LookupID{}, "")
		must(err)
		f.tokens[algorithm] = pair.Token
	}
	f.Verifier = f.verifier(t, signing.Options{Issuer: issuerURL, Secret: sharedSecret})
	return f
}

func (f jwtFixture) verifier(t testing.TB, o signing.Options) *verify.Verifier {
	t.Helper()
	o.SealingKey = []byte(strings.Repeat("k", 32))
	keys := signing.New(f.store, o)
	v := verify.New(f.store, secret.Format{}, scope.Default(), verify.UserTokens(keys))
	t.Cleanup(func() {
		if err := v.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := keys.Prepare(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.store.keys, f.store.rows = 0, 0
	return v
}

// TestUserToken_Identity: a user token stands for its user with the current role, costs one read, and is accepted only by a
// verifier of user tokens with the same issuer and secret.
func TestUserToken_Identity(t *testing.T) {
	t.Parallel()
	f := newJWTFixture(t)
	for algorithm, token := range f.tokens {
		f.store.keys, f.store.rows = 0, 0
		id, err := f.Lookup(t.Context(), token)
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		if id.Kind != secret.JWT || id.Subject != f.user.ID || id.User.ID != f.user.ID || id.ClientID != "" || id.Bot || id.Role != scope.RoleAdmin ||
			id.Acts != scope.RoleAdmin || id.Scopes.String() != "admin" || len(id.Permissions) != len(scope.Default().RolePermissions(scope.RoleAdmin)) ||
			id.ExpiresAt.Sub(id.IssuedAt) != 24*time.Hour || id.OfApp() || id.User.Password != "" {
			t.Errorf("%s: %+v", algorithm, id)
		}
		if f.store.keys != 0 || f.store.rows != 1 {
			t.Errorf("%s: keys were read %d times and rows %d times", algorithm, f.store.keys, f.store.rows)
		}
	}
	for name, v := range map[string]*verify.Verifier{
		"another issuer": f.verifier(t, signing.Options{Issuer: "https://other.test", Secret: sharedSecret}),
		"no user tokens": verify.New(f.store, secret.Format{}, scope.Default()),
	} {
		for algorithm, token := range f.tokens {
			if _, err := v.Inspect(t.Context(), token); !errors.Is(err, verify.ErrInvalid) || errors.Is(err, verify.ErrExpired) {
				t.Errorf("%s, %s: %v", name, algorithm, err)
			}
		}
	}
	tool := f.verifier(t, signing.Options{})
	if _, err := tool.Inspect(t.Context(), f.tokens["ES256"]); err != nil {
		t.Errorf("a tool without issuer: %v", err)
	}
	if _, err := tool.Inspect(t.Context(), f.tokens["HS256"]); !errors.Is(err, verify.ErrInvalid) {
		t.Errorf("a tool without secret: %v", err)
	}
}

// TestUserToken_DatabaseUnavailable: without an answer of the database the error is store.ErrUnavailable; a forged token is still
// refused, by the keys that were read before.
func TestUserToken_DatabaseUnavailable(t *testing.T) {
	t.Parallel()
	f := newJWTFixture(t)
	eager := f.verifier(t, signing.Options{KeyRefresh: 1})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, v := range map[string]*verify.Verifier{"keys known": f.Verifier, "keys to be read again": eager,
		"keys never read": verify.New(f.store, secret.Format{}, scope.Default(), verify.UserTokens(signing.New(f.store, signing.Options{})))} {
		if _, err := v.Inspect(ended, f.tokens["ES256"]); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, verify.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.store.rows = 0
	if _, err := eager.Inspect(ended, f.tokens["ES256"]+"A"); !errors.Is(err, verify.ErrInvalid) || f.store.rows != 0 {
		t.Errorf("a forged token without a database: %v after %d reads", err, f.store.rows)
	}
}

// TestErrExpired: a caller that only checks for ErrInvalid treats an expired user token as any other invalid one.
func TestErrExpired(t *testing.T) {
	t.Parallel()
	if !errors.Is(verify.ErrExpired, verify.ErrInvalid) || errors.Is(verify.ErrInvalid, verify.ErrExpired) {
		t.Error("ErrExpired is not a kind of ErrInvalid")
	}
}

// FuzzUserToken: no text makes Inspect panic, and a token that this server has not signed causes no read of the keys.
func FuzzUserToken(f *testing.F) {
	fixture := newJWTFixture(f)
	for _, token := range fixture.tokens {
		f.Add(token)
		f.Add(token[:len(token)-2])
		f.Add(strings.Replace(token, ".", "..", 1))
	}
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(".." + strings.Repeat(".", 100))
	f.Fuzz(func(t *testing.T, token string) {
		fixture.store.keys, fixture.store.rows = 0, 0
		id, err := fixture.Inspect(t.Context(), token)
		known := token == fixture.tokens["ES256"] || token == fixture.tokens["HS256"]
		if known != (err == nil) || !known && (!errors.Is(err, verify.ErrInvalid) || id.Subject != "") {
			t.Fatalf("%q: %v", token, err)
		}
		// The encoding of a signature has spare bits: a token that differs in them only is signed, but its hash is not in the
		// database.
		if strings.Contains(token, ".") && !known && fixture.store.keys != 0 {
			t.Fatalf("%q made the verifier read the keys", token)
		}
	})
}

// BenchmarkVerify measures the verification of a user token, database included: go test ./internal/verify -run '^$' -bench Verify.
func BenchmarkVerify(b *testing.B) {
	f := newJWTFixture(b)
	for algorithm, token := range f.tokens {
		b.Run(algorithm, func(b *testing.B) {
			for range b.N {
				if _, err := f.Inspect(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(algorithm+", forged", func(b *testing.B) {
			forged := token[:len(token)-10] + "AAAAAAAAAA"
			for range b.N {
				if _, err := f.Inspect(b.Context(), forged); err == nil {
					b.Fatal("a forged token")
				}
			}
		})
	}
}
