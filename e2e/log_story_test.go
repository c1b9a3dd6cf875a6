package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
)

// story is all that people, apps and APIs do with the product, with secrets that can be recognised wherever they turn up.
type story struct {
	t       *testing.T
	r       *harness.Env
	secrets harness.SecretScanner // passwords, tokens, codes, client secrets, verifiers, cookies, request ids; right and wrong ones
	// misplaced are secrets in the wrong field, such as a password typed as a name. A page may show them to the user who typed them,
	// and a look-up may use them, but no log contains them.
	misplaced harness.SecretScanner
	refused   strings.Builder // every answer that is not a success, headers included
}

// see remembers an answer if it refuses something.
func (s *story) see(a harness.Answer) harness.Answer {
	if a.Status >= http.StatusBadRequest {
		fmt.Fprintln(&s.refused, a.Status, a.Header, a.Body)
	}
	return a
}

// want is see for a step without which the story would not go on.
func (s *story) want(status int, a harness.Answer) harness.Answer {
	s.t.Helper()
	if s.see(a).Status != status {
		s.t.Fatalf("status = %d, want %d: %.500s", a.Status, status, a.Body)
	}
	return a
}

// invent makes a secret that a person or program would.
func (s *story) invent(name string) string {
	text := rand.Text() + rand.Text()
	s.secrets.Add(name, text)
	return text
}

// mint makes a credential that the server never minted.
func (s *story) mint(kind secret.Kind) string {
	text := secret.Format{}.New(kind).Reveal()
	s.secrets.AddCredential("unknown "+kind.String(), text)
	return text
}

func (s *story) misplace(name string) string {
	text := rand.Text() + rand.Text()
	s.misplaced.Add(name, text)
	return text
}

// keep remembers what the server minted.
func (s *story) keep(name, credential string) string {
	s.t.Helper()
	if credential == "" {
		s.t.Fatalf("no %s", name)
	}
	s.secrets.AddCredential(name, credential)
	return credential
}

func (s *story) keepCookies(a harness.Answer) harness.Answer {
	s.t.Helper()
	for name, c := range cookies(a) {
		switch {
		case c.Value == "":
		case name == "xenoauth":
			s.secrets.AddCookie("session cookie", c.Value)
		default:
			s.secrets.Add("cookie "+name, c.Value)
		}
	}
	return a
}

// told tells the story on a server, and returns it at its end.
func told(t *testing.T, e *harness.Env) *story {
	s := &story{t: t, r: e}
	b := e.Browser()
	email := "carla@users.test"
	password := s.people(b, email)
	apps := s.developer(b)
	for _, app := range apps {
		s.grant(b, app)
	}
	s.platform(b, email, password)
	s.mistakes(b, apps[0], email, password)
	s.trouble(b, apps)
	s.keepCookies(b.Post("/logout", url.Values{}))
	if s.secrets.Len() < 600 || s.misplaced.Len() < 50 || s.refused.Len() < 50_000 {
		t.Errorf("the story is too short to prove anything: %d and %d forms of secrets, %d bytes of refusals", s.secrets.Len(), s.misplaced.Len(), s.refused.Len())
	}
	return s
}

// people sign up, in and out, rightly and wrongly, and change the password.
func (s *story) people(b *harness.Browser, email string) string {
	first, second := s.invent("password"), s.invent("second password")
	signUp := url.Values{"name": {"Carla"}, "email": {email}, "password": {first}}
	s.keepCookies(s.want(http.StatusSeeOther, b.Post("/signup", signUp)))
	s.want(http.StatusSeeOther, b.Post("/logout", url.Values{}))
	signUp.Set("password", s.invent("password of a second sign-up"))
	s.want(http.StatusUnprocessableEntity, b.Post("/signup", signUp))
	s.want(http.StatusUnprocessableEntity, b.Post("/signup", url.Values{"email": {"x"}, "password": {s.invent("password beside a bad address")}}))
	s.want(http.StatusUnprocessableEntity, b.Post("/login", url.Values{"email": {email}, "password": {s.invent("wrong password")}}))
	s.want(http.StatusUnprocessableEntity, b.Post("/login", url.Values{"email": {"nobody@users.test"}, "password": {s.invent("password of nobody")}}))
	s.want(http.StatusBadRequest, b.Post("/login", url.Values{"email": {email}, "password": {strings.Repeat(s.invent("long password"), 30)}}))
	s.want(http.StatusBadRequest, b.Post("/login", url.Values{"email": {email}, "password": {first, s.invent("password given twice")}}))
	s.keepCookies(s.want(http.StatusSeeOther, b.Post("/login", url.Values{"email": {email}, "password": {first}})))
	change := url.Values{"current_password": {s.invent("wrong current password")}, "password": {second}}
	s.want(http.StatusUnprocessableEntity, b.Post("/account/security", change))
	s.want(http.StatusUnprocessableEntity, b.Post("/account/security", url.Values{"current_password": {first}, "password": {s.invent("long password") + strings.Repeat("x", 2000)}}))
	change.Set("current_password", first)
	s.keepCookies(s.want(http.StatusSeeOther, b.Post("/account/security", change)))
	s.want(http.StatusForbidden, b.Send(http.MethodPost, "/account/security", change, "Origin", "https://evil.test"))
	return second
}

// developer registers three sorts of app and rotates and revokes secrets.
func (s *story) developer(b *harness.Browser) []harness.App {
	var apps []harness.App
	for name, more := range map[string]url.Values{"Forever": {}, "Expiring": {"expiring": {"on"}}, "Public": {"type": {"public"}}} {
		form := url.Values{"name": {name}, "redirect_uris": {harness.CB}, "scopes": {"contacts", "faqs"}}
		for field, values := range more {
			form[field] = values
		}
		page := s.want(http.StatusOK, b.Make("/developer/apps", form))
		app := harness.App{ID: s.r.Strings(`SELECT id FROM apps WHERE name = $1`, name)[0], URI: harness.CB}
		if name != "Public" {
			path := "/developer/apps/" + app.ID + "/secrets"
			old := s.keep("first secret", credentials(page.Body, secret.Client)[0])
			app.Secret = s.keep("second secret", credentials(s.want(http.StatusOK, b.Make(path, url.Values{"keep": {"1h"}})).Body, secret.Client)[0])
			s.want(http.StatusConflict, b.Post(path, url.Values{"keep": {"1h"}}))
			s.want(http.StatusBadRequest, b.Post(path, url.Values{"keep": {old}}))
			s.want(http.StatusSeeOther, b.Post(path+"/"+s.r.Parse(old).ID.String()+"/revoke", url.Values{}))
			s.want(http.StatusUnauthorized, s.r.Token(harness.App{ID: app.ID, Secret: old}, "grant_type", "client_credentials"))
			s.secrets.Add("Authorization header", strings.TrimPrefix(harness.Basic(app.ID, app.Secret), "Basic "))
		}
		apps = append(apps, app)
	}
	return apps
}

// grant is everything that happens between a person and an app.
func (s *story) grant(b *harness.Browser, app harness.App) {
	e := s.r
	verifier := s.invent("verifier")
	sum := sha256.Sum256([]byte(verifier))
	pkce := []string{"code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method", "S256"}
	code := func() string {
		t, page := s.t, b.Get(address(request(app, append(pkce, "prompt", "consent")...)))
		t.Helper()
		s.keep("request id", page.Hidden("request_id"))
		return s.keep("code", e.WantCode(s.see(b.Decide(page, "allow")), harness.CB, "xyz"))
	}
	denied := b.Get(address(request(app, append(pkce, "prompt", "consent")...)))
	s.keep("request id", denied.Hidden("request_id"))
	s.see(b.Decide(denied, "deny"))
	s.see(b.Decide(denied, "allow"))
	s.see(b.Get("/oauth/consent?request_id=" + denied.Hidden("request_id")))

	one := code()
	s.want(http.StatusBadRequest, e.Exchange(app, one, "code_verifier", s.invent("wrong verifier")))
	s.want(http.StatusBadRequest, e.Exchange(app, one, "code_verifier", verifier, "redirect_uri", "https://evil.test"))
	s.want(http.StatusBadRequest, e.Exchange(app, s.mint(secret.Code), "code_verifier", verifier))
	s.want(http.StatusUnauthorized, e.Exchange(harness.App{ID: app.ID, Secret: s.mint(secret.Client), URI: harness.CB}, one, "code_verifier", verifier))
	answer := s.want(http.StatusOK, e.Exchange(app, one, "code_verifier", verifier))
	token := s.keep("access token", answer.String(s.t, "access_token"))
	s.want(http.StatusOK, e.Me(token))
	s.want(http.StatusUnauthorized, e.Me(s.mint(secret.Access)))
	s.want(http.StatusUnauthorized, e.Me(s.invent("garbage for a token")))
	if app.Secret != "" {
		s.want(http.StatusOK, e.Introspect(app, token))
		s.keep("token of the app itself", s.want(http.StatusOK, e.Token(app, "grant_type", "client_credentials")).String(s.t, "access_token"))
	}
	if old := answer.String(s.t, "refresh_token"); old != "" {
		s.keep("refresh token", old)
		next := s.want(http.StatusOK, refresh(e, app, old))
		s.keep("second access token", next.String(s.t, "access_token"))
		last := s.keep("second refresh token", next.String(s.t, "refresh_token"))
		s.want(http.StatusOK, refresh(e, app, old))
		s.want(http.StatusBadRequest, refresh(e, app, old, "scope", "faqs"))
		// Once its successor was used, the old one ends the family.
		third := s.want(http.StatusOK, refresh(e, app, last))
		s.keep("third access token", third.String(s.t, "access_token"))
		newest := s.keep("third refresh token", third.String(s.t, "refresh_token"))
		s.want(http.StatusBadRequest, refresh(e, app, old))
		s.want(http.StatusBadRequest, refresh(e, app, newest))
	}
	two := code()
	s.keep("token", s.want(http.StatusOK, e.Exchange(app, two, "code_verifier", verifier)).String(s.t, "access_token"))
	s.want(http.StatusBadRequest, e.Exchange(app, two, "code_verifier", verifier)) // a replay ends it
	s.want(http.StatusOK, revoke(e, app, token))
	s.want(http.StatusUnauthorized, revoke(e, harness.App{ID: app.ID, Secret: s.mint(secret.Client)}, token))
	s.want(http.StatusUnauthorized, e.Me(token))
}
