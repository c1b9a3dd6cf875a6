package signing

import (
	"context"
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

func newKeys(st store.Store, o Options) *Keys {
	if o.SealingKey == nil {
		o.SealingKey = sealingKey("k")
	}
	o.Issuer = "https://auth.test"
	return New(st, o)
}

// TestNextKey: the next key is made a day before it begins to sign, never signs earlier than a day after it was made, and its
// predecessor stays published longer than every token that it signed.
func TestNextKey(t *testing.T) {
	t.Parallel()
	o := Options{}.withDefaults()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		age  time.Duration // since the newest key began to sign; negative: it has not begun
		due  bool
		from time.Duration // from now
	}{
		"not active yet":        {age: -day},
		"just begun":            {age: 0},
		"29 days but a second":  {age: 29*day - time.Second},
		"29 days":               {29 * day, true, day},
		"29 days and a half":    {29*day + day/2, true, day},
		"server off for months": {200 * day, true, day},
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
				t.Errorf("the old key is published for %v after its last signature", lived)
			}
		})
	}
	first, _, due := o.nextKey(nil, now)
	if !due || first.Follows != "" || !first.ActiveFrom.Equal(now) {
		t.Errorf("first key: %+v, due %t", first, due)
	}
}

// TestPrepare: the first key is made once, and a server that cannot unseal the keys does not start.
func TestPrepare(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		for range 3 {
			if err := newKeys(st, Options{}).Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		keys, err := st.SigningKeys(t.Context())
		if err != nil || len(keys) != 1 {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		err = newKeys(st, Options{SealingKey: sealingKey("x")}).Prepare(t.Context())
		if !errors.Is(err, secret.ErrSealed) {
			t.Errorf("with another sealing key: %v", err)
		}
		// HS256 needs no private key, and the key set is published all the same.
		shared := newKeys(st, Options{Algorithm: "HS256", Secret: secret.Text(sealingKey("s")), SealingKey: sealingKey("x")})
		if err := shared.Prepare(t.Context()); err != nil {
			t.Errorf("by HS256: %v", err)
		}
	})
}

func TestOptions_Check(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    Options
		good bool
	}{
		"defaults": {Options{}, true}, "HS256": {Options{Algorithm: "HS256", Secret: secret.Text(sealingKey("s"))}, true},
		"ES256 with a secret": {Options{Algorithm: "ES256", Secret: secret.Text(sealingKey("s"))}, true},
		"HS256 without one":   {Options{Algorithm: "HS256"}, false}, "a short one": {Options{Algorithm: "HS256", Secret: "short"}, false},
		"none": {Options{Algorithm: "none"}, false}, "too often": {Options{KeyInterval: time.Hour}, false},
	} {
		if err := c.o.Check(); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// claims are those of a user token that was issued now.
func claims(now time.Time) *UserClaims {
	id := secret.NewUserID()
	return &UserClaims{UserID: id, Scope: scope.RoleAdmin, Registered: Registered{
		Subject: id, ID: secret.NewTokenID(secret.NewID()), IssuedAt: now.Unix(), ExpiresAt: now.Add(time.Hour).Unix(),
	}}
}

// TestSignAndVerify: a token is good for keys of the same issuer, under either algorithm, until it expires. Claims that a user
// token never has, another subject, another issuer and another typ are refused.
func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	shared := secret.Text(sealingKey("s"))
	verifier := newKeys(st, Options{Secret: shared})
	for _, algorithm := range []string{"ES256", "HS256"} {
		signer := newKeys(st, Options{Algorithm: algorithm, Secret: shared})
		sign := func(change func(c *UserClaims)) string {
			t.Helper()
			c := claims(st.Now())
			change(c)
			token, err := signer.Sign(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		var got UserClaims
		token := sign(func(*UserClaims) {})
		if err := verifier.Verify(t.Context(), token, &got); err != nil || got.UserID == "" || got.Issuer != "https://auth.test" || got.Scope != scope.RoleAdmin {
			t.Errorf("%s: %v, %+v", algorithm, err, got)
		}
		for name, c := range map[string]struct {
			change func(c *UserClaims)
			want   error
		}{
			"expired":         {func(c *UserClaims) { c.ExpiresAt = st.Now().Unix() }, ErrExpired},
			"never expires":   {func(c *UserClaims) { c.ExpiresAt = 0 }, ErrInvalid},
			"audience":        {func(c *UserClaims) { c.Audience = "api" }, ErrInvalid},
			"not before":      {func(c *UserClaims) { c.NotBefore = 1 }, ErrInvalid},
			"no user":         {func(c *UserClaims) { c.UserID = "" }, ErrInvalid},
			"another subject": {func(c *UserClaims) { c.Subject = secret.NewUserID() }, ErrInvalid},
		} {
			if err := verifier.Verify(t.Context(), sign(c.change), new(UserClaims)); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v, want %v", algorithm, name, err, c.want)
			}
		}
		other := New(st, Options{Issuer: "https://other.test", Secret: shared})
		if err := other.Verify(t.Context(), token, new(UserClaims)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s, another issuer: %v", algorithm, err)
		}
		if err := verifier.Verify(t.Context(), token, new(otherClaims)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s, as another type of token: %v", algorithm, err)
		}
	}
}

// otherClaims are those of another type of token.
type otherClaims struct{ Registered }

func (*otherClaims) kind() kind  { return kind{typ: "at+jwt"} }
func (*otherClaims) valid() bool { return true }

// TestSharedSecret_UserTokensOnly: a server that is set to HS256 signs other types of tokens with its private key, and accepts
// them under no shared secret.
func TestSharedSecret_UserTokensOnly(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	keys := newKeys(st, Options{Algorithm: "HS256", Secret: secret.Text(sealingKey("s"))})
	token, err := keys.Sign(t.Context(), &otherClaims{Registered{ExpiresAt: st.Now().Add(time.Hour).Unix()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Verify(t.Context(), token, new(otherClaims)); err != nil {
		t.Error(err)
	}
	if _, _, err := keys.verificationKey(t.Context(), "HS256", sharedKeyID, new(otherClaims).kind()); !errors.Is(err, ErrInvalid) {
		t.Errorf("under the shared secret: %v", err)
	}
	if err := keys.Verify(t.Context(), token, new(UserClaims)); !errors.Is(err, ErrInvalid) {
		t.Errorf("as a user token: %v", err)
	}
}

// unavailable is a store that cannot add or list signing keys.
type unavailable struct {
	store.Store
	adds, lists int
	listing     bool // works
}

func (u *unavailable) AddSigningKey(context.Context, store.SigningKey, time.Time) error {
	u.adds++
	return store.ErrUnavailable
}

func (u *unavailable) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	u.lists++
	if u.listing {
		return u.Store.SigningKeys(ctx)
	}
	return nil, store.ErrUnavailable
}

// TestKeys_DatabaseUnavailable: while the next key cannot be stored, or the keys cannot be read again, the known keys sign and
// verify, and the database is tried once a second only. A replica that has no key yet returns store.ErrUnavailable.
func TestKeys_DatabaseUnavailable(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	if err := newKeys(st, Options{}).Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	dbtest.Exec(t, st, `UPDATE signing_keys SET active_from = active_from - $1`, (29 * 24 * time.Hour).Microseconds()) // the next one is due
	down := &unavailable{Store: st, listing: true}
	keys := newKeys(down, Options{})
	use := func() {
		t.Helper()
		token, err := keys.Sign(t.Context(), claims(st.Now()))
		if err == nil {
			err = keys.Verify(t.Context(), token, new(UserClaims))
		}
		if err != nil {
			t.Error(err)
		}
	}
	use()
	if pause := time.Until(keys.makeAt); down.adds != 1 || pause > retryPause {
		t.Errorf("the next key was tried %d times and waits for %v", down.adds, pause)
	}
	keys.makeAt = time.Now().Add(time.Hour)
	use()
	if down.adds != 1 {
		t.Errorf("the next key was tried %d times in the pause", down.adds-1)
	}
	down.listing, down.lists = false, 0
	keys.readAt = time.Now().Add(-time.Hour)
	use()
	if pause := time.Until(keys.readAt.Add(keys.options.KeyRefresh)); down.lists == 0 || pause > retryPause {
		t.Errorf("the keys were read %d times and wait for %v", down.lists, pause)
	}
	down.lists, keys.readAt = 0, time.Now().Add(time.Hour)
	use()
	if down.lists != 0 {
		t.Errorf("the keys were read %d times in the pause", down.lists)
	}
	if _, err := newKeys(down, Options{}).KeySet(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without any key: %v", err)
	}
}

// BenchmarkSign measures one signature: go test ./internal/signing -run '^$' -bench Sign.
func BenchmarkSign(b *testing.B) {
	st := dbtest.Open(b, dbtest.SQLite(b))
	for name, o := range map[string]Options{"ES256": {}, "HS256": {Algorithm: "HS256", Secret: secret.Text(sealingKey("s"))}} {
		keys, c := newKeys(st, o), claims(st.Now())
		b.Run(name, func(b *testing.B) {
			for range b.N {
				if _, err := keys.Sign(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
