package storetest

import (
	"crypto/sha256"
	"testing"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// The parties that act in tests.
var (
	operator = store.OperatorPrincipal("test")
	system   = store.SystemPrincipal()
)

// as is a person who acts.
func as(u store.User) store.Principal {
	return store.UserPrincipal(u.ID, "192.0.2.7")
}

// Scopes makes a set of names.
func Scopes(t testing.TB, names ...string) scope.Set {
	t.Helper()
	set, err := scope.NewSet(names...)
	if err != nil {
		t.Fatalf("scopes: %v", err)
	}
	return set
}

// hash is a credential's hash that no other credential has.
func hash(id store.LookupID) []byte {
	sum := sha256.Sum256(id[:])
	return sum[:]
}

// NewUser stores a user with an account of which the user is admin.
func NewUser(t testing.TB, st store.Store) (store.User, store.Account) {
	t.Helper()
	now := st.Now()
	id := secret.NewUserID()
	u := store.User{ID: id, Email: id + "@example.org", Name: "User " + id, Password: "$argon2id$" + id, CreatedAt: now, PasswordAt: now, EmailVerifiedAt: now}
	a := store.Account{ID: secret.NewPublicID("acc_"), Name: "Account of " + id, Plan: "standard", CreatedAt: now}
	if err := st.CreateUser(t.Context(), system, u, a); err != nil {
		t.Fatalf("create user: %v", err)
	}
	return u, a
}

// RedirectURI is registered for every app that NewApp makes.
const RedirectURI = "https://app.test/cb"

// NewSecret is a client secret that is not stored yet.
func NewSecret(st store.Store, clientID string) store.Secret {
	id := secret.NewID()
	return store.Secret{ID: id, ClientID: clientID, Hash: hash(id), Hint: "abcd", CreatedAt: st.Now()}
}

// NewApp stores a confidential app of the account that may ask for widgets, contacts and faqs; change, if not nil,
// changes it before. It returns the app and its first secret, nil for a public app.
func NewApp(t testing.TB, st store.Store, accountID string, change func(*store.App)) (store.App, *store.Secret) {
	t.Helper()
	now := st.Now()
	a := store.App{
		ID: secret.NewPublicID("app_"), AccountID: accountID, Name: "An app", Description: "What it does", Homepage: "https://app.test",
		RedirectURIs: []string{RedirectURI}, Scopes: Scopes(t, "contacts", "faqs", "widgets"), Confidential: true, CreatedAt: now,
	}
	if change != nil {
		change(&a)
	}
	var first *store.Secret
	if a.Confidential {
		s := NewSecret(st, a.ID)
		first = &s
	}
	if err := st.CreateApp(t.Context(), operator, a, first); err != nil {
		t.Fatalf("create app: %v", err)
	}
	stored, err := st.AppByID(t.Context(), a.ID)
	if err != nil {
		t.Fatalf("read app: %v", err)
	}
	return stored, first
}

// NewRequest stores a request of the app that the session may decide.
func NewRequest(t testing.TB, st store.Store, appID string, session []byte, scopes scope.Set) store.Request {
	t.Helper()
	id := secret.NewID()
	now := st.Now()
	r := store.Request{
		ID: id, Hash: hash(id), Session: session, AppID: appID, RedirectURI: RedirectURI, RedirectSent: true, Scope: scopes,
		ScopeAsked: scopes.String(), State: "st", CreatedAt: now, ExpiresAt: now.Add(15 * time.Minute),
	}
	if err := st.CreateRequest(t.Context(), r, 0); err != nil {
		t.Fatalf("create request: %v", err)
	}
	return r
}

// NewApproval stores a request and returns the Allow that decides it.
func NewApproval(t testing.TB, st store.Store, u store.User, accountID, appID string, scopes scope.Set) store.Approval {
	t.Helper()
	session := hash(secret.NewID())
	r := NewRequest(t, st, appID, session, scopes)
	return store.Approval{
		Request: r.ID, Session: session, RedirectURI: RedirectURI,
		Installation: store.Installation{ID: secret.NewPublicID("ins_"), UserID: u.ID, AccountID: accountID, AppID: appID, Scopes: scopes},
	}
}

// Install makes the user allow the app on the account.
func Install(t testing.TB, st store.Store, u store.User, accountID, appID string, scopes scope.Set) store.Installation {
	t.Helper()
	i, err := st.Install(t.Context(), as(u), NewApproval(t, st, u, accountID, appID, scopes))
	if err != nil {
		t.Fatalf("install: %v", err)
	}
	return i
}

// Code is a code of the installation that is not stored yet.
func Code(st store.Store, i store.Installation) store.Code {
	id := secret.NewID()
	now := st.Now()
	return store.Code{
		ID: id, Hash: hash(id), AppID: i.AppID, UserID: i.UserID, AccountID: i.AccountID, InstallationID: i.ID,
		RedirectURI: RedirectURI, RedirectSent: true, Scope: i.Scopes, ScopeAsked: i.Scopes.String(), CreatedAt: now, ExpiresAt: now.Add(time.Minute),
	}
}

// NewCode stores a code of the installation.
func NewCode(t testing.TB, st store.Store, i store.Installation) store.Code {
	t.Helper()
	c := Code(st, i)
	if err := st.CreateCode(t.Context(), c); err != nil {
		t.Fatalf("create code: %v", err)
	}
	return c
}

// TokenGrant is a non-expiring token of the installation.
func TokenGrant(st store.Store, i store.Installation) store.Grant {
	id := secret.NewID()
	return store.Grant{Token: store.Token{
		ID: id, Hash: hash(id), AppID: i.AppID, InstallationID: i.ID, Scope: i.Scopes, Resource: "https://api.test", CreatedAt: st.Now(),
	}}
}

// ClientToken is a token of an app itself.
func ClientToken(st store.Store, appID string, scopes scope.Set) store.Token {
	id := secret.NewID()
	now := st.Now()
	return store.Token{ID: id, Hash: hash(id), AppID: appID, Scope: scopes, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
}

// FamilyGrant is an expiring token of the installation with its family and refresh token.
func FamilyGrant(st store.Store, i store.Installation) store.Grant {
	g := TokenGrant(st, i)
	now := g.Token.CreatedAt
	f := store.Family{
		ID: secret.NewID(), AppID: i.AppID, InstallationID: i.ID, Scope: i.Scopes, ScopeAsked: "as asked", Resource: "https://api.test", CreatedAt: now,
	}
	g.Token.Family = f.ID
	g.Token.ExpiresAt = now.Add(time.Hour)
	r := NewRefresh(st, f.ID)
	g.Family, g.Refresh = &f, &r
	return g
}

// NewRefresh is a refresh token that is not stored yet.
func NewRefresh(st store.Store, family store.LookupID) store.Refresh {
	id := secret.NewID()
	now := st.Now()
	return store.Refresh{ID: id, Hash: hash(id), Family: family, CreatedAt: now, ExpiresAt: now.Add(30 * 24 * time.Hour)}
}

// Rotation replaces a refresh token of the grant's family.
func Rotation(st store.Store, g store.Grant, old store.LookupID) store.Rotation {
	next := NewRefresh(st, g.Family.ID)
	token := g.Token
	token.ID = secret.NewID()
	token.Hash = hash(token.ID)
	return store.Rotation{Old: old, Next: next, Token: token, Sealed: []byte("sealed"), SealedUntil: st.Now().Add(10 * time.Second)}
}

// Redeem stores and redeems a code for the grant.
func Redeem(t testing.TB, st store.Store, i store.Installation, g store.Grant) store.Code {
	t.Helper()
	c := NewCode(t, st, i)
	if err := st.Redeem(t.Context(), c.ID, g, 25); err != nil {
		t.Fatalf("redeem: %v", err)
	}
	return c
}

// Live reports whether a token is valid now, as a verifier would.
func Live(t testing.TB, st store.Store, kind store.TokenKind, id store.LookupID) bool {
	t.Helper()
	a, err := st.AccessByID(t.Context(), kind, id)
	if err != nil {
		t.Fatalf("access: %v", err)
	}
	if !a.RevokedAt.IsZero() || !a.AppLive || !a.ExpiresAt.IsZero() && !st.Now().Before(a.ExpiresAt) {
		return false
	}
	return a.InstallationID == "" || a.InstallationLive && a.UserLive && a.AccountLive && a.Role != ""
}

// world is a user with an account, a confidential app and an installation of it.
type world struct {
	store   store.Store
	user    store.User
	account store.Account
	app     store.App
	secret  *store.Secret
	ins     store.Installation
}

func newWorld(t testing.TB, st store.Store) world {
	t.Helper()
	w := world{store: st}
	w.user, w.account = NewUser(t, st)
	w.app, w.secret = NewApp(t, st, w.account.ID, nil)
	w.ins = Install(t, st, w.user, w.account.ID, w.app.ID, Scopes(t, "contacts", "widgets"))
	return w
}
