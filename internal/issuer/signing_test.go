package issuer

import (
	"errors"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

func sealingKey(text string) []byte { return []byte(strings.Repeat(text, 32)) }

func newSigner(st store.Store, o UserTokenOptions) *Issuer {
	if o.SealingKey == nil {
		o.SealingKey = sealingKey("k")
	}
	return New(st, scope.Default(), secret.Format{}, Options{UserTokens: o})
}

// TestNextKey: the next key is made a day before its turn, never signs earlier than a day after it was made, and the one
// before it outlives every token that it signed.
func TestNextKey(t *testing.T) {
	t.Parallel()
	o := UserTokenOptions{}.withDefaults()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		age  time.Duration // of the newest key's turn; before it: negative
		due  bool
		from time.Duration // from now
	}{
		"its turn has not come":   {age: -day},
		"just begun":              {age: 0},
		"29 days but a second":    {age: 29*day - time.Second},
		"29 days":                 {29 * day, true, day},
		"29 days and a half":      {29*day + day/2, true, day},
		"switched off for months": {200 * day, true, day},
	} {
		t.Run(name, func(t *testing.T) {
			next, retire, due := o.nextKey([]store.SigningKey{{ID: "old"}, {ID: "newest", ActiveFrom: now.Add(-c.age)}}, now)
			if due != c.due {
				t.Fatalf("due = %t", due)
			}
			if !due {
				return
			}
			if next.Follows != "newest" || !next.ActiveFrom.Equal(now.Add(c.from)) {
				t.Errorf("next follows %q and signs from %v", next.Follows, next.ActiveFrom.Sub(now))
			}
			if lived := retire.Sub(next.ActiveFrom); lived != 25*time.Hour {
				t.Errorf("the old key outlives its last signature by %v", lived)
			}
		})
	}
	first, _, due := o.nextKey(nil, now)
	if !due || first.Follows != "" || !first.ActiveFrom.Equal(now) {
		t.Errorf("first key: %+v, due %t", first, due)
	}
}

// TestPrepareKeys: the first key is made once, and a server that cannot open the keys does not start.
func TestPrepareKeys(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		for range 3 {
			if err := newSigner(st, UserTokenOptions{}).PrepareKeys(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		keys, err := st.SigningKeys(t.Context())
		if err != nil || len(keys) != 1 {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		err = newSigner(st, UserTokenOptions{SealingKey: sealingKey("x")}).PrepareKeys(t.Context())
		if !errors.Is(err, secret.ErrSealed) {
			t.Errorf("with another sealing key: %v", err)
		}
		// By HS256 no private key is needed, and the key set is there all the same.
		shared := newSigner(st, UserTokenOptions{Algorithm: "HS256", Secret: secret.Text(sealingKey("s")), SealingKey: sealingKey("x")})
		if err := shared.PrepareKeys(t.Context()); err != nil {
			t.Errorf("by HS256: %v", err)
		}
	})
}

func TestUserTokenOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    UserTokenOptions
		good bool
	}{
		"defaults": {UserTokenOptions{}, true}, "HS256": {UserTokenOptions{Algorithm: "HS256", Secret: secret.Text(sealingKey("s"))}, true},
		"ES256 with a secret": {UserTokenOptions{Algorithm: "ES256", Secret: secret.Text(sealingKey("s"))}, true},
		"HS256 without one":   {UserTokenOptions{Algorithm: "HS256"}, false}, "a short one": {UserTokenOptions{Algorithm: "HS256", Secret: "short"}, false},
		"none": {UserTokenOptions{Algorithm: "none"}, false}, "too often": {UserTokenOptions{KeyInterval: time.Hour}, false},
	} {
		if err := c.o.Check(); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkSign is what a user token costs in signing: go test ./internal/issuer -run '^$' -bench Sign.
func BenchmarkSign(b *testing.B) {
	st := dbtest.Open(b, dbtest.SQLite(b))
	for name, o := range map[string]UserTokenOptions{"ES256": {}, "HS256": {Algorithm: "HS256", Secret: secret.Text(sealingKey("s"))}} {
		i := newSigner(st, o)
		b.Run(name, func(b *testing.B) {
			for range b.N {
				if _, _, err := i.mintPair(b.Context(), secret.NewUserID(), scope.RoleAdmin, st.Now(), st.Now().Add(store.UserFamilyLifetime)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
