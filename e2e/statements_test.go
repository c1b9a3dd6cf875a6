package e2e

import (
	"encoding/hex"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
)

// countedRequest is a request and the number of statements that it may send to Postgres at most.
type countedRequest struct {
	name   string
	max    int
	status int
	send   func(w counted) harness.Answer
}

// counted is a server, its user's browser, and a form that the browser has loaded for each request.
type counted struct {
	*harness.Env
	t  *testing.T
	in *harness.Browser
}

// form loads a page and fills in its form.
func (w counted) form(page, action string, values ...string) url.Values {
	w.t.Helper()
	form := w.in.Get(page).Form(action)
	if form == nil {
		w.t.Fatalf("no form with action %s on %s", action, page)
	}
	for name, value := range harness.Pairs(values...) {
		form[name] = value
	}
	return form
}

func (w counted) post(page, action string, values ...string) harness.Answer {
	w.t.Helper()
	return w.in.Post(action, w.form(page, action, values...))
}

var newApp = []string{"name", "Statements", "redirect_uris", "https://statements.test/cb", "scopes", "widgets", "type", "confidential"}

// requestsOfPeople are the pages of accounts and of the portal.
var requestsOfPeople = []countedRequest{
	{"log in", 5, 303, func(w counted) harness.Answer {
		return w.Browser().With(w.t).Post("/login", url.Values{"email": {w.U.Email}, "password": {harness.Password}})
	}},
	{"log in with a browser of the user's", 5, 303, func(w counted) harness.Answer {
		in := w.LoggedIn(w.U).With(w.t)
		in.Post("/logout", url.Values{})
		return in.Post("/login", url.Values{"email": {w.U.Email}, "password": {harness.Password}})
	}},
	{"log in with a session", 6, 303, func(w counted) harness.Answer {
		return w.LoggedIn(w.U).With(w.t).Post("/login", url.Values{"email": {w.U.Email}, "password": {harness.Password}})
	}},
	{"log in with a wrong password", 3, 422, func(w counted) harness.Answer {
		return w.Browser().With(w.t).Post("/login", url.Values{"email": {w.U.Email}, "password": {"wrong horse battery"}})
	}},
	{"log out", 2, 303, func(w counted) harness.Answer {
		return w.LoggedIn(w.U).With(w.t).Post("/logout", url.Values{})
	}},
	{"sign up", 6, 303, func(w counted) harness.Answer {
		in := w.Browser().With(w.t)
		form := in.Get("/signup").Form("/signup")
		form.Set("email", "new"+secret.NewUserID()+"@users.test")
		form.Set("password", harness.Password)
		return in.Post("/signup", form)
	}},
	{"register an app", 6, 303, func(w counted) harness.Answer {
		return w.post("/developer/apps/new", "/developer/apps", newApp...)
	}},
	{"edit an app", 5, 303, func(w counted) harness.Answer {
		app := w.AddApp("Edited", true, harness.CB)
		path := "/developer/apps/" + app.ID + "/edit"
		return w.post(path, path, "description", "edited")
	}},
	{"add a secret", 6, 303, func(w counted) harness.Answer {
		app := w.AddApp("Rotated", true, harness.CB)
		return w.post("/developer/apps/"+app.ID, "/developer/apps/"+app.ID+"/secrets", "keep", "24h")
	}},
	{"revoke a secret", 4, 303, func(w counted) harness.Answer {
		app := w.AddApp("Revoked", true, harness.CB)
		return w.in.Post("/developer/apps/"+app.ID+"/secrets/"+w.Parse(app.Secret).ID.String()+"/revoke", url.Values{})
	}},
	{"delete an app", 4, 303, func(w counted) harness.Answer {
		app := w.AddApp("Deleted", true, harness.CB)
		return w.in.Post("/developer/apps/"+app.ID+"/delete", url.Values{"confirm": {"Deleted"}})
	}},
	{"rename oneself", 6, 303, func(w counted) harness.Answer {
		return w.post("/account", "/account", "name", "Ursula")
	}},
	{"change the password", 6, 303, func(w counted) harness.Answer {
		u := w.AddUser("p" + secret.NewUserID() + "@users.test")
		return w.LoggedIn(u).With(w.t).Post("/account/security", url.Values{"current_password": {harness.Password}, "password": {"another horse battery"}})
	}},
	{"end all other log-ins", 5, 303, func(w counted) harness.Answer {
		u := w.AddUser("o" + secret.NewUserID() + "@users.test")
		return w.LoggedIn(u).With(w.t).Post("/account/security/sessions", url.Values{})
	}},
	{"end another session", 4, 303, func(w counted) harness.Answer {
		u := w.AddUser("s" + secret.NewUserID() + "@users.test")
		w.LoggedIn(u)
		in := w.LoggedIn(u).With(w.t)
		sessions, err := w.Store.SessionsByUser(w.t.Context(), u.ID)
		w.Must(err)
		return in.Post("/account/security/sessions/"+hex.EncodeToString(sessions[1].ID)+"/end", url.Values{})
	}},
	{"end a program", 4, 303, func(w counted) harness.Answer {
		w.UserTokens(w.U)
		families, err := w.Store.UserFamiliesByUser(w.t.Context(), w.U.ID, 1)
		w.Must(err)
		return w.in.Post("/account/security/programs/"+secret.ID(families[0].ID).String()+"/end", url.Values{})
	}},
	{"remove an installed app", 5, 303, func(w counted) harness.Answer {
		w.Grant(w.in, w.A)
		_, installed, err := w.Store.ConsentAccounts(w.t.Context(), w.U.ID, w.A.ID)
		w.Must(err)
		return w.in.Post("/account/apps/"+installed[0].ID+"/remove", url.Values{})
	}},
	{"remove an installed app for all", 6, 303, func(w counted) harness.Answer {
		w.Grant(w.in, w.B)
		_, installed, err := w.Store.ConsentAccounts(w.t.Context(), w.U.ID, w.B.ID)
		w.Must(err)
		return w.in.Post("/account/apps/"+installed[0].ID+"/remove", url.Values{"for": {"all"}})
	}},
	{"create an API key", 5, 303, func(w counted) harness.Answer {
		return w.post("/account/keys/new", "/account/keys", "name", "K", "kind", "account")
	}},
	{"create a key that is a token", 5, 303, func(w counted) harness.Answer {
		return w.post("/account/keys/new", "/account/keys", "name", "K", "kind", "token", "scopes", "agent")
	}},
	{"rotate a key", 6, 303, func(w counted) harness.Answer {
		path := "/account/keys/" + w.AddKey(w.U.Account.ID, "").ID + "/rotate"
		return w.post(path, path, "keep", "24h")
	}},
	{"revoke a key", 4, 303, func(w counted) harness.Answer {
		return w.in.Post("/account/keys/"+w.AddKey(w.U.Account.ID, "").ID+"/revoke", url.Values{})
	}},
	{"revoke a secret of a key", 4, 303, func(w counted) harness.Answer {
		key := w.AddKey(w.U.Account.ID, "")
		return w.in.Post("/account/keys/"+key.ID+"/secrets/"+w.Parse(key.Text).ID.String()+"/revoke", url.Values{})
	}},
	{"create a bot", 5, 303, func(w counted) harness.Answer {
		return w.post("/account/bots/new", "/account/bots", "name", "B")
	}},
	{"rotate a bot", 6, 303, func(w counted) harness.Answer {
		path := "/account/bots/" + w.AddBot(w.U.Account.ID, "R").ID + "/rotate"
		return w.post(path, path, "keep", "24h")
	}},
	{"remove a bot", 4, 303, func(w counted) harness.Answer {
		return w.in.Post("/account/bots/"+w.AddBot(w.U.Account.ID, "R").ID+"/remove", url.Values{})
	}},
	{"revoke a secret of a bot", 4, 303, func(w counted) harness.Answer {
		bot := w.AddBot(w.U.Account.ID, "R")
		return w.in.Post("/account/bots/"+bot.ID+"/secrets/"+w.Parse(bot.Secret).ID.String()+"/revoke", url.Values{})
	}},
	{"log-in page", 0, 200, func(w counted) harness.Answer { return w.Browser().With(w.t).Get("/login") }},
	{"front page", 2, 200, func(w counted) harness.Answer { return w.in.Get("/") }},
	{"list of apps", 10, 200, func(w counted) harness.Answer { return w.in.Get("/developer/apps") }},
	{"page of an app", 4, 200, func(w counted) harness.Answer { return w.in.Get("/developer/apps/" + w.A.ID) }},
	{"form of an app", 2, 200, func(w counted) harness.Answer { return w.in.Get("/developer/apps/" + w.A.ID + "/edit") }},
	{"form of a new app", 2, 200, func(w counted) harness.Answer { return w.in.Get("/developer/apps/new") }},
	{"question before an app is deleted", 3, 200, func(w counted) harness.Answer { return w.in.Get("/developer/apps/" + w.A.ID + "/delete") }},
	{"page that shows a new app", 3, 200, func(w counted) harness.Answer {
		return w.in.Follow(w.post("/developer/apps/new", "/developer/apps", newApp...))
	}},
	{"profile", 2, 200, func(w counted) harness.Answer { return w.in.Get("/account") }},
	{"security page", 6, 200, func(w counted) harness.Answer { return w.in.Get("/account/security") }},
	{"list of installed apps", 2, 200, func(w counted) harness.Answer { return w.in.Get("/account/apps") }},
	{"list of keys", 4, 200, func(w counted) harness.Answer { return w.in.Get("/account/keys") }},
	{"list of bots", 3, 200, func(w counted) harness.Answer { return w.in.Get("/account/bots") }},
	{"page of a bot", 3, 200, func(w counted) harness.Answer {
		return w.in.Get("/account/bots/" + w.AddBot(w.U.Account.ID, "P").ID)
	}},
}

// TestStatements counts the statements that each request sends to Postgres, through the real routes. BEGIN and COMMIT are
// not counted.
func TestStatements(t *testing.T) {
	t.Parallel()
	e, counter := harness.Counted(t)
	w := counted{Env: e, in: e.LoggedIn(e.U)}
	for _, c := range append(requestsOfPeople, requestsOfApps...) {
		t.Run(c.name, func(t *testing.T) {
			w := w
			w.t, w.Env, w.in = t, e.With(t), w.in.With(t)
			a := c.send(w)
			statements := counter.Statements(a)
			if a.Status != c.status {
				t.Fatalf("status %d, want %d: %.300s", a.Status, c.status, a.Body)
			}
			if len(statements) > c.max {
				t.Errorf("%d statements, want %d at most:\n%s", len(statements), c.max, strings.Join(statements, "\n"))
			}
			t.Logf("%d statements", len(statements))
		})
	}
}
