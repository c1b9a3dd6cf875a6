package issuer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/issuer"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// TestResource: a token is for the resources that were authorized, or for those of them that the token request names;
// a refresh may name others of them again (RFC 8707 §2.2). What was not authorized is refused, and costs nothing.
func TestResource(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	want := func(info oauth2.TokenInfo, resources ...string) {
		t.Helper()
		if got := strings.Fields(f.access(info.GetAccess()).Resource); !slices.Equal(got, resources) {
			t.Errorf("resources = %v, want %v", got, resources)
		}
	}
	want(f.grant("contacts"))
	want(f.grant("contacts", apiOne, apiTwo), apiOne, apiTwo)

	code := f.code("contacts", apiOne, apiTwo)
	_, err := f.redeem(code, "https://three.test")
	wantCode(t, err, issuer.InvalidTarget)
	_, err = f.redeem(code, apiOne, "https://three.test")
	wantCode(t, err, issuer.InvalidTarget)
	info, err := f.redeem(code, apiTwo)
	f.must(err)
	want(info, apiTwo)

	_, err = f.refresh(info.GetRefresh(), "", "https://three.test")
	wantCode(t, err, issuer.InvalidTarget)
	info, err = f.refresh(info.GetRefresh(), "", apiOne)
	f.must(err)
	want(info, apiOne)
	info, err = f.refresh(info.GetRefresh(), "")
	f.must(err)
	want(info, apiOne, apiTwo)

	_, err = f.redeem(f.code("contacts"), apiOne)
	wantCode(t, err, issuer.InvalidTarget)
}

// TestWhatACodeIsWorth: a confidential app gets a token for ever and nothing else, one that chose so and a public one an
// hour and a refresh token.
func TestWhatACodeIsWorth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change   func(*store.App)
		kind     secret.Kind
		lifetime time.Duration
	}{
		"confidential":           {func(a *store.App) { a.Expiring = false }, secret.Access, 0},
		"confidential, expiring": {func(*store.App) {}, secret.Expiring, time.Hour},
		"public":                 {func(a *store.App) { a.Confidential, a.PKCERequired = false, true }, secret.Expiring, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, issuer.Options{}, c.change)
			info := f.grant("contacts")
			credential, ok := secret.Format{}.Parse(info.GetAccess())
			if !ok || credential.Kind != c.kind || info.GetAccessExpiresIn() != c.lifetime || (info.GetRefresh() != "") != (c.lifetime != 0) {
				t.Errorf("an access token of kind %v for %s, refresh token %t", credential.Kind, info.GetAccessExpiresIn(), info.GetRefresh() != "")
			}
			if a := f.access(info.GetAccess()); a.ExpiresAt.IsZero() != (c.lifetime == 0) || !a.ExpiresAt.IsZero() && a.ExpiresAt.Sub(a.CreatedAt) != c.lifetime {
				t.Errorf("the row expires at %v", a.ExpiresAt)
			}
		})
	}
}

// TestTokenLimit: an installation has so many live tokens at most; one more ends the oldest. Without a limit none ends.
func TestTokenLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{TokenLimit: 3}, func(a *store.App) { a.Expiring = false })
	var tokens []string
	for i := range 5 {
		tokens = append(tokens, f.grant("contacts").GetAccess())
		for j, token := range tokens {
			f.wantLive(token, j > i-3)
		}
	}
	f = newFixture(t, issuer.Options{}, func(a *store.App) { a.Expiring = false })
	tokens = nil
	for range 30 {
		tokens = append(tokens, f.grant("contacts").GetAccess())
	}
	for _, token := range tokens {
		f.wantLive(token, true)
	}
}

// TestCodeLifetime: a code lives as long as the setting says.
func TestCodeLifetime(t *testing.T) {
	t.Parallel()
	for set, want := range map[time.Duration]time.Duration{0: time.Minute, 5 * time.Minute: 5 * time.Minute} {
		f := newFixture(t, issuer.Options{CodeLifetime: set})
		c, ok := secret.Format{}.Parse(f.code("contacts"))
		if !ok {
			t.Fatal("the code is no credential")
		}
		row, err := f.store.CodeByID(t.Context(), c.ID)
		f.must(err)
		if got := row.ExpiresAt.Sub(row.CreatedAt); got != want {
			t.Errorf("a code lives %s, want %s", got, want)
		}
	}
}

// TestNoCodeWithoutInstallation: between consent and code the installation was removed: no code, and an error that says
// that it has ended.
func TestNoCodeWithoutInstallation(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	f.must(f.store.RemoveInstallation(t.Context(), operator, "", f.installation.ID))
	ctx := issuer.WithFacts(t.Context(), issuer.Facts{Installation: f.installation})
	request := &oauth2.TokenGenerateRequest{ClientID: f.app.ID, UserID: f.user.ID, RedirectURI: callback, Scope: "contacts"}
	if info, err := f.GenerateAuthToken(ctx, oauth2.Code, request); !errors.Is(err, store.ErrEnded) || info != nil {
		t.Errorf("GenerateAuthToken = %v, %v; want store.ErrEnded", info, err)
	}
}

// TestUnknownGrants: what the issuer does not know, it refuses.
func TestUnknownGrants(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	_, err := f.GenerateAuthToken(t.Context(), oauth2.Token, &oauth2.TokenGenerateRequest{})
	wantCode(t, err, issuer.UnsupportedResponseType)
	for _, grant := range []oauth2.GrantType{oauth2.PasswordCredentials, oauth2.Implicit, oauth2.Refreshing, ""} {
		_, err := f.GenerateAccessToken(f.as(f.app), grant, &oauth2.TokenGenerateRequest{})
		wantCode(t, err, issuer.UnsupportedGrantType)
	}
	// Without Facts nobody is authenticated, so nobody gets anything.
	code, refresh := f.code("contacts"), f.grant("contacts").GetRefresh()
	_, err = f.GenerateAccessToken(t.Context(), oauth2.AuthorizationCode, &oauth2.TokenGenerateRequest{ClientID: f.app.ID, Code: code})
	wantCode(t, err, issuer.InvalidGrant)
	_, err = f.GenerateAccessToken(t.Context(), oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{ClientID: f.app.ID})
	wantCode(t, err, issuer.UnauthorizedClient)
	_, err = f.RefreshAccessToken(t.Context(), &oauth2.TokenGenerateRequest{ClientID: f.app.ID, Refresh: refresh})
	wantCode(t, err, issuer.InvalidGrant)
	f.wantLive(f.grant("contacts").GetAccess(), true)
	_, err = f.redeem(code)
	f.must(err)
}

// TestLoad: the library may load a token by its text alone; garbage, another kind and a forged secret part are not found.
func TestLoad(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	info := f.grant("contacts widgets")
	access, err := f.LoadAccessToken(t.Context(), info.GetAccess())
	f.must(err)
	refresh, err := f.LoadRefreshToken(t.Context(), info.GetRefresh())
	f.must(err)
	for what, loaded := range map[string]oauth2.TokenInfo{"access": access, "refresh": refresh} {
		if loaded.GetClientID() != f.app.ID || loaded.GetUserID() != f.user.ID || loaded.GetScope() != "contacts widgets" || loaded.GetAccess()+loaded.GetRefresh() != "" {
			t.Errorf("%s token loads as %+v", what, loaded)
		}
	}
	if access.GetAccessExpiresIn() != time.Hour || refresh.GetRefreshExpiresIn() != 30*24*time.Hour {
		t.Errorf("they live %s and %s", access.GetAccessExpiresIn(), refresh.GetRefreshExpiresIn())
	}
	for what, text := range map[string]string{
		"garbage": "x", "unknown access": secret.Format{}.New(secret.Access).Reveal(), "unknown refresh": secret.Format{}.New(secret.Refresh).Reveal(), "code": f.code("contacts"),
	} {
		if _, err := f.LoadAccessToken(t.Context(), text); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("LoadAccessToken of %s: %v", what, err)
		}
		if _, err := f.LoadRefreshToken(t.Context(), text); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("LoadRefreshToken of %s: %v", what, err)
		}
	}
	client, err := f.GetClient(t.Context(), f.app.ID)
	f.must(err)
	if client.GetSecret() != "" || client.IsPublic() || client.GetID() != f.app.ID {
		t.Error("the library is told a secret, or something false")
	}
	if _, err := f.GetClient(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("GetClient of nobody: %v", err)
	}
}

// TestRemove: an app revokes its own tokens, once or again; another's it may not; and what does not exist is gone.
func TestRemove(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	other := f.addApp(f.installation.AccountID)
	info := f.grant("contacts")
	mine, theirs := f.as(f.app), f.as(other)
	wantCode(t, f.RemoveAccessToken(theirs, info.GetAccess()), issuer.UnauthorizedClient)
	wantCode(t, f.RemoveRefreshToken(theirs, info.GetRefresh()), issuer.UnauthorizedClient)
	f.wantLive(info.GetAccess(), true)
	for _, text := range []string{"", "x", secret.Format{}.New(secret.Access).Reveal(), secret.Format{}.New(secret.Refresh).Reveal(), f.code("contacts")} {
		f.must(f.RemoveAccessToken(mine, text))
		f.must(f.RemoveRefreshToken(mine, text))
	}
	// Each takes its own kind only; revoking an access token leaves the family as it is.
	f.must(f.RemoveAccessToken(mine, info.GetRefresh()))
	f.must(f.RemoveRefreshToken(mine, info.GetAccess()))
	f.wantLive(info.GetAccess(), true)
	for range 2 {
		f.must(f.RemoveAccessToken(mine, info.GetAccess()))
	}
	f.wantLive(info.GetAccess(), false)
	next, err := f.refresh(info.GetRefresh(), "")
	f.must(err)
	for range 2 {
		f.must(f.RemoveRefreshToken(mine, next.GetRefresh()))
	}
	f.wantLive(next.GetAccess(), false)
}
