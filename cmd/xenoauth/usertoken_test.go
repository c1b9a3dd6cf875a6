package main

import (
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
	"xenoauth/store"
)

// userPair returns a pair of user tokens as the server issues it.
func userPair(t *testing.T, st store.Store, email string, o signing.Options) issuer.UserPair {
	t.Helper()
	u, err := st.UserByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	o.Issuer, o.SealingKey = "https://auth.test", []byte(strings.Repeat("k", 32))
	i := issuer.New(st, scope.Default(), secret.Format{}, issuer.Options{Keys: signing.New(st, o)})
	p, err := i.NewUserPair(t.Context(), operator(), u, store.LookupID{}, "curl/8")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestUserTokenCommands: the commands accept user tokens of both algorithms, and revoke a family by its access or refresh token.
func TestUserTokenCommands(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		user, account := addUser(t, l, "ada@example.org")
		st := dbtest.Open(t, database)
		p := userPair(t, st, "ada@example.org", signing.Options{})
		var v object
		l.with(p.Token+"\n").ok(t, &v, "token", "inspect", "-")
		if v["kind"] != "user token" || v["sub"] != user || v["client_id"] != nil || v["account"].(map[string]any)["id"] != account {
			t.Errorf("inspected %v", v)
		}
		l.with(p.Token[:len(p.Token)-4]).fails(t, exitRefused, "no such token", "token", "revoke", "-")
		l.with(p.Token).ok(t, nil, "token", "inspect", "-")
		l.with(p.Token).ok(t, nil, "token", "revoke", "-")
		l.with(p.Token).fails(t, exitRefused, "not active", "token", "inspect", "-")

		p = userPair(t, st, "ada@example.org", signing.Options{})
		l.with(p.RefreshToken[:len(p.RefreshToken)-1]+"g").fails(t, exitRefused, "no such token", "token", "revoke", "-")
		l.with(p.RefreshToken).ok(t, nil, "token", "revoke", "-")
		l.with(p.Token).fails(t, exitRefused, "not active", "token", "inspect", "-")

		shared := strings.Repeat("s", 32)
		p = userPair(t, st, "ada@example.org", signing.Options{Algorithm: "HS256", Secret: secret.Text(shared)})
		l.with(p.Token).fails(t, exitRefused, "not active", "token", "inspect", "-")
		l.with(p.Token).ok(t, nil, "token", "inspect", "-", "--user-token-secret", shared)
	})
}

// TestUserTokenSettings: HS256 needs a shared secret, which is read from a file and never shown; the key rotation has a minimum interval.
func TestUserTokenSettings(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "secret", strings.Repeat("s", 32)+"\n")
	s := loaded(t, map[string]string{"XENOAUTH_USER_TOKEN_SECRET_FILE": file, "XENOAUTH_USER_TOKEN_ALG": "HS256"}, "--key-rotation", "60d")
	o := s.userTokens()
	if s.err() != nil || o.Algorithm != "HS256" || o.Secret.Reveal() != strings.Repeat("s", 32) || o.KeyInterval.Hours() != 60*24 || o.Check() != nil {
		t.Errorf("from a file: %s %v %v", o.Algorithm, o.KeyInterval, s.err())
	}
	s = loaded(t, nil)
	if o := s.userTokens(); s.err() != nil || o.Algorithm != "ES256" || o.Secret != "" || o.KeyInterval.Hours() != 30*24 || o.Check() != nil {
		t.Errorf("without settings: %s %v %v", o.Algorithm, o.KeyInterval, s.err())
	}
	for want, c := range map[string]struct {
		env  map[string]string
		args []string
	}{
		"HS256 needs a shared secret": {nil, []string{"--user-token-alg", "HS256"}},
		`invalid value "none"`:        {nil, []string{"--user-token-alg", "none"}},
		"6 bytes are too few":         {map[string]string{"XENOAUTH_USER_TOKEN_SECRET": "hunter"}, nil},
		"(want at":                    {nil, []string{"--key-rotation", "1h"}},
		"keys must rotate: use ":      {nil, []string{"--key-rotation", "0"}},
	} {
		s := loaded(t, c.env, c.args...)
		s.userTokens()
		if err := s.err(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%v: %v, want %q", c.args, err, want)
		}
	}
}
