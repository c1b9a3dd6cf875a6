package browser

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/server"
	"xenoauth/store"
)

// world is a server with the people and apps of an ordinary day.
type world struct {
	*harness.Env
	t       *testing.T
	closed  string // another server of the same kind, where nobody may sign up
	reports harness.App
	long    harness.App
	archive harness.App
	own     harness.App // Grace's, with two secrets
	halted  harness.App // Grace's, suspended
	native  harness.App // Grace's, a public app with a scheme of its own
	moved   harness.App // Brightdesk's, verified until it got another host
}

const (
	grace = "grace@bluelagoon.example"
	iris  = "iris@example.org"
	lost  = "lena@example.org"
	desk  = "amir@example.org" // an agent of Grace's account, and of no other
	newly = "mira@example.org"
	name  = "Contact synchronisation for spreadsheets and office programs"
)

// visit is what one person sees; email "" is a stranger.
type visit struct {
	who    string
	email  string
	scenes []scene
}

// scene is a page in one of its states.
type scene struct {
	name string
	show func(b *tab)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, Env: harness.Bare(t, dbtest.Open(t, dbtest.SQLite(t)))}
	w.closed = harness.Bare(t, dbtest.Open(t, dbtest.SQLite(t)), func(o *server.Options) { o.SignUpOpen = false }).URL

	me, lagoon := w.person(grace, "Grace Hopper")
	other, _ := w.person(iris, "Iris")
	w.person(newly, "Mira Okafor")
	ada, brightdesk := w.person("ada@brightdesk.example", "Brightdesk GmbH")
	_, partner := w.person("olga@users.example", "Wolfeschlegelsteinhausenbergerdorff & Partner Beteiligungsgesellschaft")

	operator := harness.Operator
	w.reports = w.app(operator, brightdesk.ID, "Brightdesk Reports", "https://brightdesk.example", "https://reports.brightdesk.example/connected",
		"Weekly reports on how quickly your team answers, by e-mail.")
	w.long = w.app(operator, brightdesk.ID, name, "https://sheets.averyveryverylongsubdomainname.brightdesk.example",
		"https://sheets.averyveryverylongsubdomainname.brightdesk.example/integrations/xenoauth/callback", "")
	w.archive = w.app(store.UserPrincipal(ada.ID, ""), brightdesk.ID, "Chatlog Archive", "", "http://127.0.0.1/cb", "Keeps what was said.")
	w.own = w.app(store.UserPrincipal(me.ID, ""), lagoon.ID, "Lagoon Helpdesk", "https://bluelagoon.example",
		"https://bluelagoon.example/helpdesk/callback", "Answers the questions that come up again and again.")
	w.halted = w.app(operator, lagoon.ID, "Lagoon Bookings", "https://bluelagoon.example", "https://bluelagoon.example/bookings/callback", "")

	w.native = w.nativeApp(store.UserPrincipal(me.ID, ""), lagoon.ID)
	w.moved = w.app(operator, brightdesk.ID, "Brightdesk Calendar", "https://brightdesk.example", "https://calendar.brightdesk.example/cb", "Puts appointments into chats.")

	browser := w.LoggedIn(harness.User{User: me})
	for _, a := range []harness.App{w.reports, w.long, w.archive, w.moved} {
		token := w.Grant(browser, a, "scope", "contacts").String(t, "access_token")
		w.WantLive(token, true)
	}
	browser.Code(w.own, "scope", "faqs") // allowed, but never connected
	w.Grant(w.LoggedIn(harness.User{User: other}), w.reports)
	_, err := w.Rules.RotateSecret(t.Context(), harness.Operator, w.own.ID, w.Store.Now().Add(24*time.Hour))
	w.do(err)
	w.do(w.Store.SetAppSuspended(t.Context(), operator, w.halted.ID, true))
	w.do(w.Store.AddMember(t.Context(), operator, partner.ID, ada.ID, scope.RoleAgent))
	agent, spare := w.person(desk, "Amir Desk")
	w.do(w.Store.AddMember(t.Context(), operator, lagoon.ID, agent.ID, scope.RoleAgent))
	w.do(w.Store.SetAccountDisabled(t.Context(), operator, spare.ID, true))
	w.Grant(w.LoggedIn(harness.User{User: agent}), w.reports, "scope", "widgets contacts")
	w.move(ada)
	_, closed := w.person(lost, "Lena Lost")
	w.do(w.Store.SetAccountDisabled(t.Context(), operator, closed.ID, true))
	return w
}

func (w *world) person(email, name string) (store.User, store.Account) {
	w.t.Helper()
	u, a, err := w.Rules.AddUser(context.Background(), harness.Operator, directory.NewUser{Email: email, Name: name, Password: harness.Password})
	w.do(err)
	return u, a
}

func (w *world) app(by store.Principal, account, name, homepage, uri, description string) harness.App {
	w.t.Helper()
	a, c, err := w.Rules.CreateApp(context.Background(), by, account, directory.AppForm{Name: name, Description: description, Homepage: homepage,
		RedirectURIs: []string{uri}, Scopes: []string{"widgets", "faqs", "contacts", "conversations"}, Confidential: true})
	w.do(err)
	return harness.App{ID: a.ID, Secret: c.Reveal(), URI: uri}
}

func (w *world) nativeApp(by store.Principal, account string) harness.App {
	w.t.Helper()
	const uri = "com.bluelagoon.companion://www.bluelagoon.example/connected"
	a, _, err := w.Rules.CreateApp(context.Background(), by, account, directory.AppForm{Name: "Lagoon Companion", RedirectURIs: []string{uri}, Scopes: []string{"contacts"}})
	w.do(err)
	return harness.App{ID: a.ID, URI: uri}
}

// move gives the verified app another host, as its developer does, which ends the verification.
func (w *world) move(developer store.User) {
	w.t.Helper()
	a, err := w.Rules.App(context.Background(), harness.Operator, w.moved.ID)
	w.do(err)
	_, err = w.Rules.UpdateApp(context.Background(), store.UserPrincipal(developer.ID, ""), a, a.Version, directory.AppForm{
		Name: a.Name, Description: a.Description, Homepage: a.Homepage, RedirectURIs: []string{"https://calendar.example/cb"}, Scopes: a.Scopes.Slice()})
	w.do(err)
	w.moved.URI = "https://calendar.example/cb"
}

// touch saves an app as somebody else would.
func (w *world) touch(a harness.App) {
	w.t.Helper()
	stored, err := w.Store.AppByID(context.Background(), a.ID)
	w.do(err)
	w.do(w.Store.UpdateApp(context.Background(), harness.Operator, stored, ""))
}

func (w *world) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// at is a scene that an address leads to.
func (w *world) at(name, path string) scene {
	return scene{name, func(b *tab) { b.open(w.URL + path) }}
}

// asks is the consent page of an app.
func (w *world) asks(name string, a harness.App, scopes string) scene {
	return w.at(name, "/oauth/authorize?"+harness.Pairs("client_id", a.ID, "redirect_uri", a.URI, "scope", scopes, "state", "xyz").Encode())
}

func (w *world) visits() []visit {
	app := "/developer/apps/" + w.own.ID
	waiting := w.asks("login-for-app", w.reports, "contacts")
	return []visit{
		{"stranger", "", []scene{
			w.at("home", "/"), w.at("login", "/login"), w.at("signup", "/signup"), waiting,
			{"signup-for-app", func(b *tab) { waiting.show(b); b.press("main a[href^='/signup']") }},
			{"login-wrong", func(b *tab) {
				b.open(w.URL + "/login")
				b.fill("#email", grace, "#password", "not it at all")
				b.press("main button[type=submit]")
			}},
			{"signup-faults", func(b *tab) {
				b.open(w.URL + "/signup")
				b.fill("#name", "Grace", "#email", grace, "#password", "short")
				b.press("main button[type=submit]")
			}},
			{"signup-closed", func(b *tab) { b.open(w.closed + "/signup") }},
			w.at("error-not-found", "/nothing/here"),
			w.at("error-redirect-uri", "/oauth/authorize?"+harness.Pairs("client_id", w.reports.ID, "redirect_uri", "https://evil.example/cb").Encode()),
			w.at("error-client-id", "/oauth/authorize?client_id=app_0000000000000000000000"),
		}},
		{"newcomer", newly, []scene{
			w.at("empty-installed", "/account/apps"), w.at("empty-apps", "/developer/apps"), w.at("hello", "/"),
			w.asks(pictureOf, w.reports, "contacts conversations"),
			w.at("empty-keys", "/account/keys"), w.at("empty-bots", "/account/bots"),
		}},
		{"keeper", grace, w.managing()},
		{"developer", grace, w.developing(app)},
		{"user", grace, []scene{
			w.at("installed", "/account/apps"),
			{"remove", func(b *tab) { b.open(w.URL + "/account/apps"); b.press("article a[href$='/remove']") }},
			w.at("profile", "/account"), w.at("security", "/account/security"), w.at("logout", "/logout"),
			w.at("login-again", "/oauth/authorize?"+harness.Pairs("client_id", w.reports.ID, "redirect_uri", w.reports.URI, "scope", "contacts", "prompt", "login").Encode()),
			w.asks("consent-more", w.reports, "contacts conversations"), w.asks("consent-unverified", w.own, "contacts conversations"),
			w.asks("consent-loopback", w.archive, "widgets faqs contacts conversations"),
			w.asks("consent-long", w.long, "widgets"),
			w.asks("consent-new-host", w.moved, "contacts"),
			w.at("consent-reconnect", "/oauth/authorize?"+harness.Pairs("client_id", w.reports.ID, "redirect_uri", w.reports.URI, "scope", "contacts", "prompt", "consent").Encode()),
			w.at("consent-native", "/oauth/authorize?"+harness.Pairs("client_id", w.native.ID, "redirect_uri", w.native.URI, "scope", "contacts",
				"code_challenge", harness.Challenge, "code_challenge_method", "S256").Encode()),
			{"profile-fault", func(b *tab) {
				b.open(w.URL + "/account")
				b.fill("#name", strings.Repeat("and so on ", 30))
				b.press("main form button")
			}},
			{"security-fault", func(b *tab) {
				b.open(w.URL + "/account/security")
				b.fill("#current_password", "not it", "#password", "short")
				b.press("main form button")
			}},
		}},
		{"away", newly, []scene{
			w.at("form-none", "/account/form"),
			{"login-for-form", func(b *tab) {
				b.open(w.URL + "/developer/apps/new")
				b.fill("#name", name, "#description", "Typed before the session ended.", "[name=redirect_uris]", "https://app.example/callback")
				b.do("end the session", send(network.DeleteCookies, network.DeleteCookiesParams{Name: "xenoauth", URL: w.URL}))
				b.press("main .actions button[type=submit]")
			}},
			{"form-kept", func(b *tab) { b.logIn(newly, "dl") }},
		}},
		{"changing", iris, []scene{
			{"security-changed", func(b *tab) {
				b.open(w.URL + "/account/security")
				b.fill("#current_password", harness.Password, "#password", harness.Password+" staple")
				b.press("main form button")
			}},
		}},
		{"agent", desk, []scene{w.asks("consent-agent", w.long, "widgets contacts conversations"), w.asks("consent-agent-nothing", w.long, "widgets"),
			w.asks("consent-agent-more", w.reports, "widgets faqs contacts"), w.at("installed-agent", "/account/apps")}},
		{"disabled", lost, []scene{w.asks("consent-no-account", w.reports, "contacts")}},
		{"member-of-two", "ada@brightdesk.example", []scene{w.at("app-unverified", "/developer/apps/"+w.moved.ID), w.at("app-edit-verified", "/developer/apps/"+w.reports.ID+"/edit"),
			w.asks("consent-choice", w.reports, "widgets faqs contacts conversations"), w.at("profile-two", "/account")}},
	}
}

func (w *world) developing(app string) []scene {
	submit := "main .actions button[type=submit]"
	return []scene{
		w.at("apps", "/developer/apps"), w.at("app-new", "/developer/apps/new"), w.at("app", app), w.at("app-suspended", "/developer/apps/"+w.halted.ID),
		w.at("app-edit", app+"/edit"), w.at("app-delete", app+"/delete"),
		{"app-new-faults", func(b *tab) {
			b.open(w.URL + "/developer/apps/new")
			b.fill("#name", "Helpdesk", "#homepage", "not an address", "[name=redirect_uris]", "http://app.example/callback")
			b.press(submit)
		}},
		{"app-edit-conflict", func(b *tab) {
			b.open(w.URL + app + "/edit")
			b.fill("#description", "Typed while somebody else saves. ")
			w.touch(w.own)
			b.press(submit)
		}},
		{"app-delete-fault", func(b *tab) {
			b.open(w.URL + app + "/delete")
			b.fill("#confirm", "Something else")
			b.press(submit)
		}},
		{"secret-revoke", func(b *tab) { b.open(w.URL + app); b.press("td a[href$='/revoke']") }},
		{"secret-revoke-last", func(b *tab) {
			b.press(submit)
			b.press("td a[href$='/revoke']")
		}},
		{"secret-rotated", func(b *tab) { b.open(w.URL + app); b.press("form button[type=submit]") }},
		{"app-registered", func(b *tab) {
			b.open(w.URL + "/developer/apps/new")
			b.fill("#name", "Spreadsheet synchronisation for the accounts department", "[name=redirect_uris]", "https://app.example/callback")
			b.tick("[name=scopes][value=faqs]")
			b.press(submit)
		}},
		{"app-shown-before", func(b *tab) { b.do("reload", chromedp.Reload()) }},
		{"app-registered-public", func(b *tab) {
			b.open(w.URL + "/developer/apps/new")
			b.fill("#name", "Pocketdesk", "[name=redirect_uris]", nativeScheme+":/callback")
			b.tick("[name=scopes][value=faqs]")
			b.tick("[name=type][value=public]")
			b.press(submit)
		}},
		{"app-public", func(b *tab) { b.press("main a.button") }},
	}
}
