package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
)

// onceCase is a form that makes something.
type onceCase struct {
	page, action string
	fill         url.Values
	kind         secret.Kind // of the credential shown once; 0 for none
	made         string      // the table that has a row more
	again        string      // the page's text beside "shown once"
}

// madeOnce sends each form that makes something 20 times at once, and once more.
func madeOnce(t *testing.T, e *harness.Env) {
	in := e.LoggedIn(e.U)
	app := "/developer/apps/" + e.AddApp("Rotated", true, harness.CB).ID
	key, bot := "/account/keys/"+e.AddKey(e.U.Account.ID, "").ID+"/rotate", "/account/bots/"+e.AddBot(e.U.Account.ID, "Rotated").ID+"/rotate"
	public := harness.Pairs("name", "Public once", "redirect_uris", harness.CB, "scopes", "contacts", "type", "public")
	for name, c := range map[string]onceCase{
		"app":        {"/developer/apps/new", "/developer/apps", harness.Pairs("name", "Made once", "redirect_uris", harness.CB, "scopes", "contacts"), secret.Client, "apps", "Made once"},
		"public app": {"/developer/apps/new", "/developer/apps", public, 0, "apps", "Public once"},
		"secret":     {app, app + "/secrets", harness.Pairs("keep", "1h"), secret.Client, "client_secrets", "Rotated"},
		"key":        {"/account/keys/new", "/account/keys", harness.Pairs("name", "Export", "kind", "account"), secret.APIKey, "api_keys", "API keys"},
		"new key":    {key, key, harness.Pairs("keep", "1h"), secret.APIKey, "client_secrets", "API keys"},
		"bot":        {"/account/bots/new", "/account/bots", harness.Pairs("name", "Robbie"), secret.Bot, "bots", "Bots"},
		"bot secret": {bot, bot, harness.Pairs("keep", "1h"), secret.Bot, "client_secrets", "Bots"},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, e.With(t), in.With(t)) })
	}
}

// filled is the form as its page has it, filled in.
func (c onceCase) filled(t *testing.T, in *harness.Browser) url.Values {
	t.Helper()
	form := in.Get(c.page).Form(c.action)
	if form.Get("form") == "" {
		t.Fatalf("the form of %s has no value of its own", c.page)
	}
	for field, values := range c.fill {
		form[field] = values
	}
	return form
}

func (c onceCase) check(t *testing.T, e *harness.Env, in *harness.Browser) {
	rows := func() int { return e.Count(`SELECT COUNT(*) FROM ` + c.made) }
	form, before := c.filled(t, in), rows()
	to := atOnce(20, func() string { return in.Post(c.action, form).Header.Get("Location") })
	if len(to) != 1 || to[""] != 0 {
		t.Fatalf("20 at once lead to %d places: %v", len(to), to)
	}
	if n := rows() - before; n != 1 {
		t.Fatalf("20 at once made %d", n)
	}
	answer := in.Post(c.action, form)
	if answer.Status != http.StatusSeeOther || answer.Body != "" {
		t.Fatalf("the form sent again answers %d: %.300s", answer.Status, answer.Body)
	}
	path := answer.Header.Get("Location")
	if head := in.Send(http.MethodHead, path, nil); head.Status != http.StatusOK {
		t.Errorf("HEAD answers %d", head.Status)
	}
	e.LoggedIn(e.U).Get(path).WantPage(t, http.StatusNotFound) // another session
	secrets := 1
	if c.kind == 0 {
		secrets = 0
	}
	shows := func(a harness.Answer) int { return len(credentials(a.Body, c.kind)) }
	shown := in.Get(path)
	shown.WantPage(t, http.StatusOK)
	if shows(shown) != secrets || strings.Contains(shown.Body, "This page is shown only once") {
		t.Fatalf("the page shows %d secrets: %.600s", shows(shown), shown.Body)
	}
	for range 2 {
		again := in.Get(path)
		again.WantPage(t, http.StatusOK)
		if shows(again) > 0 || !strings.Contains(again.Body, "This page is shown only once") || !strings.Contains(again.Body, c.again) {
			t.Errorf("the page seen again: %.900s", again.Body)
		}
	}
	// The form sent again within ten seconds shows the page again, because a second click overtakes it on a slow line.
	if again := in.Follow(in.Post(c.action, form)); shows(again) != secrets {
		t.Error("a second click hides the page that the first one led to")
	}
	e.Exec(`UPDATE page_values SET expires_at = expires_at - $1 WHERE subject = 'taken'`, int64(11_000_000))
	if again := in.Follow(in.Post(c.action, form)); shows(again) > 0 {
		t.Error("the form sent again later shows the secret again")
	}
	if c.fill.Has("name") {
		form.Set("name", "Another")
		if a := in.Post(c.action, form); a.Status != http.StatusSeeOther || a.Header.Get("Location") == path {
			t.Error("the same form with other values is taken for the same")
		}
	}
}

// signedUpOnce: a second click on Sign up is logged in, not refused because its own address is taken; the same values from
// another form are.
func signedUpOnce(t *testing.T, e *harness.Env) {
	fill := func() url.Values {
		form := e.Browser().Get("/signup").Form("/signup")
		form.Set("email", "once@users.test")
		form.Set("password", harness.Password)
		return form
	}
	form := fill()
	results := atOnce(5, func() string {
		b := e.Browser()
		a := b.Post("/signup", form)
		if in := b.Get("/account"); in.Status != http.StatusOK || !strings.Contains(in.Body, "once@users.test") {
			return "logged out"
		}
		return a.Header.Get("Location")
	})
	if len(results) != 1 || results["/account/apps"] != 5 {
		t.Errorf("5 clicks on Sign up lead to %v", results)
	}
	if n := e.Count(`SELECT COUNT(*) FROM users WHERE email = 'once@users.test'`); n != 1 {
		t.Errorf("%d users", n)
	}
	e.Browser().Post("/signup", fill()).WantPage(t, http.StatusUnprocessableEntity)
}

// endedTwice: a thing removed, revoked or deleted just before leads back to its list, by its page and by its form; for
// other users it is not found.
func endedTwice(t *testing.T, e *harness.Env) {
	in, other := e.LoggedIn(e.U), e.LoggedIn(e.AddUser("other@users.test"))
	app, withSecret := e.AddApp("Ended", true, harness.CB), e.AddApp("Ended secret", true, harness.CB)
	for path, form := range map[string]url.Values{
		"/account/keys/" + e.AddKey(e.U.Account.ID, "").ID + "/revoke":          {},
		"/account/bots/" + e.AddBot(e.U.Account.ID, "Ended").ID + "/remove":     {},
		"/developer/apps/" + app.ID + "/delete":                                 {"confirm": {"Ended"}},
		place(t, e, withSecret, "/developer/apps/{id}/secrets/{secret}/revoke"): {},
	} {
		first := in.Post(path, form)
		if first.Status != http.StatusSeeOther {
			t.Fatalf("%s answers %d: %.300s", path, first.Status, first.Body)
		}
		in.Follow(first)
		for name, again := range map[string]harness.Answer{"form": in.Post(path, form), "page": in.Get(path)} {
			if again.Status != http.StatusSeeOther || again.Header.Get("Location") != first.Header.Get("Location") {
				t.Errorf("%s of %s again answers %d to %q", name, path, again.Status, again.Header.Get("Location"))
			}
		}
		other.Get(path).WantPage(t, http.StatusNotFound)
	}
}
