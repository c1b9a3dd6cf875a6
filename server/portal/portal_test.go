package portal_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store"
)

// site is a whole server under test, over HTTP.
type site struct {
	t   *testing.T
	st  store.Store
	url string
}

func newSite(t *testing.T, st store.Store) *site {
	t.Helper()
	listener := httptest.NewUnstartedServer(nil)
	origin := "http://" + listener.Listener.Addr().String()
	s, err := server.New(t.Context(), st, server.Options{Issuer: origin, SignUpOpen: true,
		Passwords: secret.NewPasswords(secret.PasswordOptions{Params: secret.Params{Memory: 64, Time: 1, Threads: 1}})})
	if err != nil {
		t.Fatal(err)
	}
	listener.Config.Handler = s.Handler()
	listener.Start()
	t.Cleanup(listener.Close)
	return &site{t, st, origin}
}

// developer is a logged-in browser that follows no redirect.
type developer struct {
	t    *testing.T
	base string
	http *http.Client
}

func (s *site) developer(email string) *developer {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	d := &developer{s.t, s.url, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	d.want(d.post("/signup", "name", "Ada", "email", email, "password", "correct horse battery"), http.StatusSeeOther, "/account/apps")
	return d
}

// answer is a response; its text is unescaped, as a browser shows it.
type answer struct {
	status   int
	location string
	text     string
	raw      string
	header   http.Header
}

func (d *developer) get(path string) answer {
	d.t.Helper()
	r, err := d.http.Get(d.base + path)
	return d.read(r, err)
}

func (d *developer) post(path string, pairs ...string) answer {
	d.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r, err := d.http.PostForm(d.base+path, form)
	a := d.read(r, err)
	if strings.Contains(a.location, "/created/") { // the page is shown only once
		return d.get(a.location)
	}
	return a
}

func (d *developer) read(r *http.Response, err error) answer {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer{r.StatusCode, r.Header.Get("Location"), html.UnescapeString(string(raw)), string(raw), r.Header}
}

// want fails the test unless the answer has the status, leads to location ("" for nowhere) and holds all texts.
func (d *developer) want(a answer, status int, location string, texts ...string) {
	d.t.Helper()
	if a.status != status || a.location != location {
		d.t.Fatalf("got %d to %q, want %d to %q: %s", a.status, a.location, status, location, a.text)
	}
	for _, text := range texts {
		if !strings.Contains(a.text, text) {
			d.t.Errorf("the page lacks %q: %s", text, a.text)
		}
	}
}

var (
	clientID     = regexp.MustCompile(`app_[0-9A-Za-z]{22}`)
	clientSecret = regexp.MustCompile(`xnos_[0-9A-Za-z]{71}`)
)

// register registers an app and returns its id and secret.
func (d *developer) register(more ...string) (string, string) {
	d.t.Helper()
	a := d.post("/developer/apps", append([]string{"name", "Chat Insights", "redirect_uris", "https://app.test/cb", "redirect_uris", "", "redirect_uris", "http://localhost/cb",
		"scopes", "contacts", "scopes", "faqs", "homepage", "https://app.test"}, more...)...)
	d.want(a, http.StatusOK, "", " registered</h1>", "/oauth/authorize?client_id=")
	return clientID.FindString(a.text), clientSecret.FindString(a.text)
}

func (d *developer) version(id string) string {
	d.t.Helper()
	match := regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(d.get("/developer/apps/" + id + "/edit").text)
	if match == nil {
		d.t.Fatal("the form has no version")
	}
	return match[1]
}

func TestRegisterAnApp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st)
		d := s.developer("ada@example.org")
		d.want(d.get("/developer/apps"), http.StatusOK, "", "Register your first app")
		d.want(d.get("/developer/apps/new"), http.StatusOK, "", `name="redirect_uris"`, `value="contacts"`, "Chat widgets and brands")
		a := d.post("/developer/apps", "name", "Chat Insights", "redirect_uris", "https://app.test/cb", "scopes", "contacts")
		d.want(a, http.StatusOK, "", "Copy the secret now", s.url+"/oauth/authorize?client_id=")
		id, text := clientID.FindString(a.text), clientSecret.FindString(a.text)
		c, ok := secret.Format{}.Parse(text)
		if !ok || c.Kind != secret.Client || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("the page shows the secret %q, Cache-Control %q", text, a.header.Get("Cache-Control"))
		}
		client, err := st.ClientByID(t.Context(), id, store.LookupID(c.ID))
		if err != nil || !c.Matches(client.Secret) {
			t.Errorf("the secret shown does not open the app: %v", err)
		}
		app, err := st.AppByID(t.Context(), id)
		if err != nil || !app.Confidential || app.Expiring || app.PKCERequired || !app.VerifiedAt.IsZero() || app.Scopes.String() != "contacts" ||
			!slices.Equal(app.RedirectURIs, []string{"https://app.test/cb"}) {
			t.Errorf("stored: %+v, %v", app, err)
		}
		for _, path := range []string{"/developer/apps", "/developer/apps/" + id, "/developer/apps/" + id + "/edit"} {
			page := d.get(path)
			d.want(page, http.StatusOK, "", "Chat Insights")
			if clientSecret.MatchString(page.text) {
				t.Errorf("%s shows a secret again", path)
			}
		}
		d.want(d.get("/developer/apps/"+id), http.StatusOK, "", id, "…"+c.Hint(), "never", "https://app.test/cb", "Unverified", "/oauth/token")
	})
}

func TestPublicApp(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	d := newSite(t, st).developer("ada@example.org")
	id, text := d.register("type", "public")
	app, err := st.AppByID(t.Context(), id)
	if err != nil || text != "" || app.Confidential || !app.Expiring || !app.PKCERequired {
		t.Errorf("stored: %+v, %v; secret %q", app, err, text)
	}
	d.want(d.get("/developer/apps/"+id), http.StatusOK, "", "code_challenge=", "code_verifier=")
	d.want(d.post("/developer/apps/"+id+"/secrets", "keep", "forever"), http.StatusConflict, "", "A public app has no secret")
}

func TestAFaultyFormKeepsEverything(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	d := newSite(t, st).developer("ada@example.org")
	a := d.post("/developer/apps", "name", " ", "description", `</textarea><script>`, "homepage", "javascript:alert(1)", "redirect_uris", "http://app.test/cb", "redirect_uris", "https://ok.test/cb",
		"scopes", "faqs", "type", "public", "expiring", "on")
	d.want(a, http.StatusUnprocessableEntity, "", "There are 3 problems", `href="#name"`, `href="#homepage"`, `href="#redirect_uris"`, `id="redirect_uris-fault"`,
		`value="http://app.test/cb"`, `value="https://ok.test/cb"`, `value="faqs" checked`, `value="public" checked`, `name="expiring" value="on" checked`)
	if strings.Contains(a.raw, "<script>") {
		t.Error("the description is not inert")
	}
	if apps, err := st.ListApps(t.Context(), store.Page{}); err != nil || len(apps) != 0 {
		t.Errorf("apps stored: %d, %v", len(apps), err)
	}
}

func TestAddARowStoresNothing(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	d := newSite(t, st).developer("ada@example.org")
	rows := []string{"name", "Chat Insights", "redirect_uris", "https://a.test/cb", "redirect_uris", "https://b.test/cb", "redirect_uris", "https://c.test/cb", "add_row", "1"}
	a := d.post("/developer/apps", rows...)
	d.want(a, http.StatusOK, "", `value="Chat Insights"`, `value="https://c.test/cb"`)
	if got := strings.Count(a.text, `name="redirect_uris"`); got != 4 {
		t.Errorf("%d rows, want 4", got)
	}
	id, _ := d.register()
	a = d.post("/developer/apps/"+id+"/edit", append(rows, "version", d.version(id))...)
	d.want(a, http.StatusOK, "", `value="https://c.test/cb"`)
	app, err := st.AppByID(t.Context(), id)
	if err != nil || app.Version != 1 || app.RedirectURIs[0] != "https://app.test/cb" {
		t.Errorf("stored: %+v, %v", app, err)
	}
}

func TestEditAnAppAndMeetSomebodyElsesEdit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		d := newSite(t, st).developer("ada@example.org")
		id, _ := d.register()
		version := d.version(id)
		edit := func(version, name string) answer {
			return d.post("/developer/apps/"+id+"/edit", "version", version, "name", name, "redirect_uris", "https://new.test/cb", "scopes", "widgets", "pkce_required", "on")
		}
		d.want(edit(version, "First"), http.StatusSeeOther, "/developer/apps/"+id)
		d.want(d.get("/developer/apps/"+id), http.StatusOK, "", "Changes saved.", "First", "https://new.test/cb", "widgets", "Required")
		conflict := edit(version, "Second")
		d.want(conflict, http.StatusConflict, "", "This app changed while you were editing", `value="Second"`)
		if app, err := st.AppByID(t.Context(), id); err != nil || app.Name != "First" || !app.PKCERequired || !app.Confidential {
			t.Errorf("after the conflict: %+v, %v", app, err)
		}
		again := regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(conflict.text)
		d.want(edit(again[1], "Second"), http.StatusSeeOther, "/developer/apps/"+id)
		d.want(edit("x", "Third"), http.StatusBadRequest, "", "version")
	})
}

func TestRotateAndRevokeSecrets(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		d := newSite(t, st).developer("ada@example.org")
		id, first := d.register()
		path := "/developer/apps/" + id
		works := func(text string) bool {
			t.Helper()
			c, ok := secret.Format{}.Parse(text)
			if !ok {
				t.Fatalf("no secret: %q", text)
			}
			client, err := st.ClientByID(t.Context(), id, store.LookupID(c.ID))
			if err != nil {
				t.Fatal(err)
			}
			return c.Matches(client.Secret)
		}
		a := d.post(path+"/secrets", "keep", "24h")
		d.want(a, http.StatusOK, "", "expires in 24 hours")
		second := clientSecret.FindString(a.text)
		if !works(first) || !works(second) {
			t.Error("both secrets must work after a rotation with overlap")
		}
		live, err := st.SecretsByClient(t.Context(), id)
		if err != nil || len(live) != 2 {
			t.Fatalf("live secrets: %d, %v", len(live), err)
		}
		if left := live[1].ExpiresAt.Sub(st.Now()); left < 23*time.Hour || left > 24*time.Hour {
			t.Errorf("the old secret works for another %s", left)
		}
		d.want(d.post(path+"/secrets", "keep", "forever"), http.StatusConflict, "", "Two secrets are already active")
		d.want(d.post(path+"/secrets", "keep", "soon"), http.StatusBadRequest, "", "keep")
		c, _ := secret.Format{}.Parse(first)
		revoke := path + "/secrets/" + c.ID.String() + "/revoke"
		d.want(d.get(revoke), http.StatusOK, "", "…"+c.Hint(), "stops working at once")
		if !works(first) {
			t.Error("looking at the page must revoke nothing")
		}
		d.want(d.post(revoke), http.StatusSeeOther, path)
		if works(first) || !works(second) {
			t.Error("the revoked secret, and only that, must be dead")
		}
		d.want(d.post(revoke), http.StatusSeeOther, path)
		d.want(d.get(revoke), http.StatusSeeOther, path)
		a = d.post(path+"/secrets", "keep", "now")
		d.want(a, http.StatusOK, "", "have expired")
		if works(second) || !works(clientSecret.FindString(a.text)) {
			t.Error("keep=now must end the others at once")
		}
	})
}

func TestDeleteNeedsTheName(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		d := newSite(t, st).developer("ada@example.org")
		id, _ := d.register()
		path := "/developer/apps/" + id + "/delete"
		d.want(d.get(path), http.StatusOK, "", "All its tokens and codes stop working", "not installed on any account")
		d.want(d.post(path), http.StatusUnprocessableEntity, "", "Type the name exactly")
		d.want(d.post(path, "confirm", "chat insights"), http.StatusUnprocessableEntity, "", `value="chat insights"`)
		d.want(d.get("/developer/apps/"+id), http.StatusOK, "")
		d.want(d.post(path, "confirm", "Chat Insights"), http.StatusSeeOther, "/developer/apps")
		d.want(d.get("/developer/apps"), http.StatusOK, "", "Chat Insights was deleted.", "Register your first app")
		d.want(d.get("/developer/apps/"+id), http.StatusNotFound, "")
	})
}

// Apps that the visitor does not manage give the same response as unknown ones on every route (docs/battery.md, D8).
func TestOtherPeoplesAppsDoNotExist(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st)
		owner, stranger := s.developer("ada@example.org"), s.developer("eve@example.org")
		id, text := owner.register()
		c, _ := secret.Format{}.Parse(text)
		for _, route := range []string{"GET ", "GET /edit", "POST /edit", "POST /secrets", "GET /secrets/SECRET/revoke", "POST /secrets/SECRET/revoke", "GET /delete", "POST /delete"} {
			method, suffix, _ := strings.Cut(route, " ")
			suffix = strings.Replace(suffix, "SECRET", c.ID.String(), 1)
			ask := func(id string) answer {
				if method == http.MethodGet {
					return stranger.get("/developer/apps/" + id + suffix)
				}
				return stranger.post("/developer/apps/"+id+suffix, "version", "1", "name", "Mine", "confirm", "Chat Insights", "keep", "now", "redirect_uris", "https://evil.test/cb", "scopes", "faqs")
			}
			foreign, unknown := ask(id), ask(secret.NewPublicID("app_"))
			if foreign.status != http.StatusNotFound || foreign.raw != unknown.raw || unknown.status != foreign.status {
				t.Errorf("%s: foreign %d, unknown %d\n%s\n%s", route, foreign.status, unknown.status, foreign.raw, unknown.raw)
			}
		}
		app, err := st.AppByID(t.Context(), id)
		live, err2 := st.SecretsByClient(t.Context(), id)
		if err != nil || err2 != nil || app.Version != 1 || app.Name != "Chat Insights" || len(live) != 1 {
			t.Errorf("the app was touched: %+v, %d secrets, %v %v", app, len(live), err, err2)
		}
		user, err := st.UserByEmail(t.Context(), "ada@example.org")
		if err != nil {
			t.Fatal(err)
		}
		members, err := st.MembersByUser(t.Context(), user.ID)
		if err != nil {
			t.Fatal(err)
		}
		stranger.want(stranger.post("/developer/apps", "account", members[0].AccountID, "name", "Planted", "redirect_uris", "https://evil.test/cb", "scopes", "faqs"), http.StatusUnprocessableEntity, "", "Choose an account", `value="Planted"`)
	})
}

func TestOnlyAdminsRegisterAndChooseTheAccount(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	s := newSite(t, st)
	d, other := s.developer("ada@example.org"), s.developer("eve@example.org")
	ctx, by := t.Context(), store.OperatorPrincipal("test")
	membership := func(email string) store.Member {
		t.Helper()
		user, err := st.UserByEmail(ctx, email)
		if err != nil {
			t.Fatal(err)
		}
		members, err := st.MembersByUser(ctx, user.ID)
		if err != nil {
			t.Fatal(err)
		}
		return members[0]
	}
	ada, eve := membership("ada@example.org"), membership("eve@example.org")
	dbtest.Exec(t, st, `UPDATE users SET email_verified_at = created_at`)
	if err := st.AddMember(ctx, by, eve.AccountID, ada.UserID, scope.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	d.want(d.get("/developer/apps/new"), http.StatusOK, "", `<select id="account"`, eve.AccountID)
	d.want(d.post("/developer/apps", "name", "x", "redirect_uris", "https://app.test/cb", "scopes", "faqs"), http.StatusUnprocessableEntity, "", "Choose an account", `value="https://app.test/cb"`)
	id, _ := d.register("account", eve.AccountID)
	other.want(other.get("/developer/apps/"+id), http.StatusOK, "", "Chat Insights") // admins of the account share it
	if err := st.SetMemberRole(ctx, by, eve.AccountID, eve.UserID, scope.RoleAgent); err != nil {
		t.Fatal(err)
	}
	other.want(other.get("/developer/apps/"+id), http.StatusNotFound, "")
	other.want(other.get("/developer/apps"), http.StatusOK, "", "not an admin of any active account")
	other.want(other.get("/developer/apps/new"), http.StatusForbidden, "")
}

// TestAppForAnAccountThatEnded: an account that was disabled while the form was filled in is named, and the form keeps its values.
func TestAppForAnAccountThatEnded(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	d := newSite(t, st).developer("ada@example.org")
	d.want(d.get("/developer/apps/new"), http.StatusOK, "")
	user, err := st.UserByEmail(t.Context(), "ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	members, err := st.MembersByUser(t.Context(), user.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.SetAccountDisabled(t.Context(), store.OperatorPrincipal("test"), members[0].AccountID, true); err != nil {
		t.Fatal(err)
	}
	d.want(d.post("/developer/apps", "name", "Typed", "redirect_uris", "https://app.test/cb", "scopes", "faqs"), http.StatusUnprocessableEntity, "",
		"You are not an admin of any active account", `id="account"`, `value="Typed"`, `value="https://app.test/cb"`)
	d.want(d.get("/developer/apps/new"), http.StatusForbidden, "")
}
