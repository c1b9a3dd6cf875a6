package issuer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// TestResource: a token is for the authorized resources, or for those of them that the token request names; a refresh may name
// others of them (RFC 8707 §2.2). A resource that was not authorized is refused, and the code or refresh token stays usable.
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

// TestRedeem_TokenKinds: a confidential app gets one token that never expires; a public app, and an app that chose expiring
// tokens, gets a token for an hour and a refresh token.
func TestRedeem_TokenKinds(t *testing.T) {
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

// TestTokenLimit: a token above the limit of an installation revokes the oldest one. Without a limit none is revoked.
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

// TestCodeLifetime: the setting, or a minute without it, is the lifetime of a code.
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

// TestGenerateAuthToken_RemovedInstallation: if the installation is removed between consent and code, the error is
// store.ErrEnded.
func TestGenerateAuthToken_RemovedInstallation(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	f.must(f.store.RemoveInstallation(t.Context(), operator, f.installation.ID))
	request := &oauth2.TokenGenerateRequest{ClientID: f.app.ID, UserID: f.user.ID, RedirectURI: callback, Scope: "contacts"}
	if info, err := f.consented("contacts").GenerateAuthToken(t.Context(), oauth2.Code, request); !errors.Is(err, store.ErrEnded) || info != nil {
		t.Errorf("GenerateAuthToken = %v, %v; want store.ErrEnded", info, err)
	}
}

// TestManager_UnknownGrant: the Manager refuses every grant and response type that it does not implement.
func TestManager_UnknownGrant(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	_, err := f.consented("contacts").GenerateAuthToken(t.Context(), oauth2.Token, &oauth2.TokenGenerateRequest{Scope: "contacts"})
	wantCode(t, err, issuer.UnsupportedResponseType)
	for _, grant := range []oauth2.GrantType{oauth2.PasswordCredentials, oauth2.Implicit, oauth2.Refreshing, ""} {
		_, err := f.as(f.app).GenerateAccessToken(t.Context(), grant, &oauth2.TokenGenerateRequest{})
		wantCode(t, err, issuer.UnsupportedGrantType)
	}
}

// TestManager_WithoutParams: without an authenticated client a Manager issues nothing and uses up no code or refresh token.
func TestManager_WithoutParams(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	none := func() *issuer.Manager { return f.Manager(issuer.GrantParams{}) }
	code, refresh := f.code("contacts"), f.grant("contacts").GetRefresh()
	_, err := none().GenerateAuthToken(t.Context(), oauth2.Code, &oauth2.TokenGenerateRequest{ClientID: f.app.ID, UserID: f.user.ID, Scope: "contacts"})
	wantCode(t, err, issuer.InvalidScope)
	_, err = none().GenerateAccessToken(t.Context(), oauth2.AuthorizationCode, &oauth2.TokenGenerateRequest{ClientID: f.app.ID, Code: code})
	wantCode(t, err, issuer.InvalidGrant)
	_, err = none().GenerateAccessToken(t.Context(), oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{ClientID: f.app.ID})
	wantCode(t, err, issuer.UnauthorizedClient)
	_, err = none().RefreshAccessToken(t.Context(), &oauth2.TokenGenerateRequest{ClientID: f.app.ID, Refresh: refresh})
	wantCode(t, err, issuer.InvalidGrant)
	_, err = none().GetClient(t.Context(), "")
	wantCode(t, err, issuer.InvalidClient)
	_, err = f.redeem(code)
	f.must(err)
	_, err = f.refresh(refresh, "")
	f.must(err)
}

// TestManager_ScopeGivenUp: no code is issued for a scope that the app has not registered.
func TestManager_ScopeGivenUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	request := &oauth2.TokenGenerateRequest{ClientID: f.app.ID, UserID: f.user.ID, RedirectURI: callback, Scope: "contacts conversations"}
	_, err := f.consented("contacts").GenerateAuthToken(t.Context(), oauth2.Code, request)
	wantCode(t, err, issuer.InvalidScope)
}

// TestManager_GetClient returns the authenticated client without a secret, and no other client.
func TestManager_GetClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	client, err := f.as(f.app).GetClient(t.Context(), f.app.ID)
	f.must(err)
	if client.GetSecret() != "" || client.IsPublic() || client.GetID() != f.app.ID {
		t.Errorf("client = %+v", client)
	}
	other := f.addApp(f.installation.AccountID)
	_, err = f.as(f.app).GetClient(t.Context(), other.ID)
	wantCode(t, err, issuer.InvalidClient)
}

// TestManager_LoadAccessToken: a token is loaded by its text, and the result does not contain the text.
func TestManager_LoadAccessToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	info := f.grant("contacts widgets")
	access, err := f.as(f.app).LoadAccessToken(t.Context(), info.GetAccess())
	f.must(err)
	if access.GetClientID() != f.app.ID || access.GetUserID() != f.user.ID || access.GetScope() != "contacts widgets" ||
		access.GetAccess() != "" || access.GetAccessExpiresIn() != time.Hour {
		t.Errorf("loaded %+v", access)
	}
	for what, text := range map[string]string{
		"garbage": "x", "unknown": secret.Format{}.New(secret.Access).Reveal(), "refresh token": info.GetRefresh(), "code": f.code("contacts"),
	} {
		if _, err := f.as(f.app).LoadAccessToken(t.Context(), text); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("LoadAccessToken of %s: %v", what, err)
		}
	}
}

// countReads is a store that counts look-ups of refresh tokens.
type countReads struct {
	store.Store
	n int
}

func (c *countReads) RefreshByID(ctx context.Context, id store.LookupID) (store.Refresh, store.Family, error) {
	c.n++
	return c.Store.RefreshByID(ctx, id)
}

// TestManager_LoadRefreshToken: only a token of the client that can still be used is loaded, and the rotation after it uses
// the row that was read.
func TestManager_LoadRefreshToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	info := f.grant("contacts widgets")
	reads := &countReads{Store: f.store}
	m := issuer.New(reads, scope.Default(), secret.Format{}, issuer.Options{}).Manager(params(f.app, "contacts"))
	refresh, err := m.LoadRefreshToken(t.Context(), info.GetRefresh())
	f.must(err)
	if refresh.GetClientID() != f.app.ID || refresh.GetUserID() != f.user.ID || refresh.GetScope() != "contacts widgets" || refresh.GetRefresh() != "" {
		t.Errorf("loaded %+v", refresh)
	}
	next, err := m.RefreshAccessToken(t.Context(), &oauth2.TokenGenerateRequest{ClientID: f.app.ID, Refresh: info.GetRefresh(), Scope: "contacts"})
	f.must(err)
	if reads.n != 1 {
		t.Errorf("the refresh token was read %d times, want 1", reads.n)
	}
	other := f.addApp(f.installation.AccountID)
	for what, load := range map[string]func() (oauth2.TokenInfo, error){
		"garbage": func() (oauth2.TokenInfo, error) { return f.as(f.app).LoadRefreshToken(t.Context(), "x") },
		"unknown": func() (oauth2.TokenInfo, error) {
			return f.as(f.app).LoadRefreshToken(t.Context(), secret.Format{}.New(secret.Refresh).Reveal())
		},
		"access token":        func() (oauth2.TokenInfo, error) { return f.as(f.app).LoadRefreshToken(t.Context(), next.GetAccess()) },
		"another app's token": func() (oauth2.TokenInfo, error) { return f.as(other).LoadRefreshToken(t.Context(), next.GetRefresh()) },
	} {
		_, err := load()
		wantCode(t, err, issuer.InvalidGrant)
		if !errors.Is(err, issuer.ErrUnknown) {
			t.Errorf("%s does not count as a guess: %v", what, err)
		}
	}
}

// TestManager_LoadRefreshToken_Reuse: loading a token whose successor was used ends the family, so that a reuse is noticed
// even if go-oauth2's scope check refuses the request afterwards.
func TestManager_LoadRefreshToken_Reuse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	first := f.grant("contacts")
	second, err := f.refresh(first.GetRefresh(), "")
	f.must(err)
	third, err := f.refresh(second.GetRefresh(), "")
	f.must(err)
	_, err = f.Manager(params(f.app, "contacts faqs")).LoadRefreshToken(t.Context(), first.GetRefresh())
	wantCode(t, err, issuer.InvalidGrant)
	f.wantFamilyEnds(1)
	f.wantLive(third.GetAccess(), false)
}

// TestManager_Remove: an app revokes its own tokens, also repeatedly, and no token of another app; an unknown token is not an
// error.
func TestManager_Remove(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	other := f.addApp(f.installation.AccountID)
	info := f.grant("contacts")
	mine, theirs := f.as(f.app), f.as(other)
	wantCode(t, theirs.RemoveAccessToken(t.Context(), info.GetAccess()), issuer.UnauthorizedClient)
	wantCode(t, theirs.RemoveRefreshToken(t.Context(), info.GetRefresh()), issuer.UnauthorizedClient)
	f.wantLive(info.GetAccess(), true)
	for _, text := range []string{"", "x", secret.Format{}.New(secret.Access).Reveal(), secret.Format{}.New(secret.Refresh).Reveal(), f.code("contacts")} {
		f.must(mine.RemoveAccessToken(t.Context(), text))
		f.must(mine.RemoveRefreshToken(t.Context(), text))
	}
	// Each method ignores the other kind of token, and revoking an access token leaves the family as it is.
	f.must(mine.RemoveAccessToken(t.Context(), info.GetRefresh()))
	f.must(mine.RemoveRefreshToken(t.Context(), info.GetAccess()))
	f.wantLive(info.GetAccess(), true)
	for range 2 {
		f.must(mine.RemoveAccessToken(t.Context(), info.GetAccess()))
	}
	f.wantLive(info.GetAccess(), false)
	next, err := f.refresh(info.GetRefresh(), "")
	f.must(err)
	for range 2 {
		f.must(mine.RemoveRefreshToken(t.Context(), next.GetRefresh()))
	}
	f.wantLive(next.GetAccess(), false)
}
