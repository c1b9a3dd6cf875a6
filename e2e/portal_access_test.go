package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// belongings is everything in the database that can belong to somebody, as text, to see whether anything changed.
func belongings(e *harness.Env) string {
	var b strings.Builder
	for _, table := range []string{"users", "accounts", "members", "apps", "app_redirect_uris", "client_secrets", "installations", "tokens", "families", "api_keys", "bots", "user_families"} {
		for _, row := range e.Rows(`SELECT * FROM ` + table + ` ORDER BY 1, 2`) {
			fmt.Fprintln(&b, table, row)
		}
	}
	return b.String()
}

// places fills the wildcards of every path that has some, for GET and for POST.
func places(t *testing.T, e *harness.Env) map[string]string {
	filled := map[string]string{}
	for _, path := range slices.Concat(mounted(t, http.MethodGet), mounted(t, http.MethodPost)) {
		if strings.Contains(path, "{") && !strings.Contains(path, "{$}") {
			filled[path] = place(t, e, e.A, path)
		}
	}
	return filled
}

// The ids of keys and bots in a path.
var (
	keyID = regexp.MustCompile(`key_[0-9A-Za-z]{22}`)
	botID = regexp.MustCompile(`/[0-9a-f]{24}(/|$)`)
)

// TestPortalForeignApp_D8: another developer, a member of the owner's account who is not its admin, and an admin who left ask every
// route of the portal for an app, of the installed apps for an installation, and of keys and bots, by GET and POST with the owner's
// parameters: 404 (or, for a log-in to end, no change), byte for byte as for an id that does not exist; nothing changes. A secret of another
// app under one's own app is unknown, and so is another's account in the registration of an app. Saving the unchanged edit form
// of an own app loses no field. Saving a form that is older than the stored app is a 409 with the typed values, and overwrites
// nothing.
func TestPortalForeignApp_D8(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		e.Grant(e.LoggedIn(e.U), e.A)
		mallory, member, former := e.AddUser("mallory@users.test"), e.AddUser("member@users.test"), e.AddUser("former@users.test")
		for _, err := range []error{
			e.Store.AddMember(t.Context(), harness.Operator, e.U.Account.ID, member.ID, scope.RoleAgent),
			e.Store.AddMember(t.Context(), harness.Operator, e.U.Account.ID, former.ID, scope.RoleAdmin),
			e.Store.RemoveMember(t.Context(), harness.Operator, e.U.Account.ID, former.ID),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		theirs := e.With(t)
		theirs.U = mallory
		own := theirs.AddApp("Mallory's", true, harness.CB)
		belonging := places(t, e)
		before := belongings(e)
		unknown := harness.App{ID: "app_" + e.A.ID[len(e.A.ID)-2:] + e.A.ID[4:len(e.A.ID)-2]}
		installed, _, err := e.Store.InstalledApps(t.Context(), e.U.ID, store.InstalledQuery{})
		if err != nil || len(installed) != 1 {
			t.Fatalf("%d installations, %v", len(installed), err)
		}
		noInstallation := "ins_" + unknown.ID[4:]
		asked := 0
		for _, who := range []harness.User{mallory, member, former} {
			b := e.LoggedIn(who)
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				for _, path := range mounted(t, method) {
					foreign := belonging[path]
					if foreign == "" {
						continue
					}
					asked++
					nobodys := strings.NewReplacer(e.A.ID, unknown.ID, installed[0].ID, noInstallation).Replace(foreign)
					nobodys = keyID.ReplaceAllString(nobodys, "key_"+unknown.ID[4:])
					nobodys = botID.ReplaceAllString(nobodys, "/"+secret.NewUserID()+"$1")
					t.Run(who.Email+" "+method+" "+path, func(t *testing.T) {
						var form url.Values
						headers := []string{}
						if method == http.MethodPost {
							form, headers = changes[path].form, []string{"Origin", e.URL, "Sec-Fetch-Site", "same-origin"}
							if form == nil {
								form = url.Values{}
							}
						}
						a := b.With(t).Send(method, foreign, form, headers...)
						if strings.HasPrefix(path, "/account/security/") {
							// A log-in that has ended, and one that never was, are nothing to do.
							if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/account/security" {
								t.Errorf("status %d, Location %q", a.Status, a.Header.Get("Location"))
							}
						} else {
							a.WantPage(t, http.StatusNotFound)
						}
						wantSameAnswer(t, a, b.With(t).Send(method, nobodys, form, headers...))
					})
				}
			}
		}
		if asked < 3*18 {
			t.Errorf("%d requests were made; the test reads the routes wrongly", asked)
		}
		b := e.LoggedIn(mallory)
		t.Run("secret of another app", func(t *testing.T) {
			_, secrets, err := e.Rules.Secrets(t.Context(), harness.Operator, e.A.ID)
			if err != nil || len(secrets) != 1 {
				t.Fatalf("%d secrets, %v", len(secrets), err)
			}
			path := "/developer/apps/" + own.ID + "/secrets/" + secret.ID(secrets[0].ID).String() + "/revoke"
			other := "/developer/apps/" + own.ID + "/secrets/" + secret.NewID().String() + "/revoke"
			wantSameAnswer(t, b.With(t).Get(path), b.With(t).Get(other))
			a := b.With(t).Post(path, url.Values{})
			a.WantPage(t, http.StatusNotFound)
			wantSameAnswer(t, a, b.With(t).Post(other, url.Values{}))
		})
		t.Run("account of somebody else", func(t *testing.T) {
			form := url.Values{"name": {"X"}, "redirect_uris": {harness.CB}, "scopes": {"faqs"}, "account": {e.U.Account.ID}}
			a := b.With(t).Post("/developer/apps", form)
			a.WantPage(t, http.StatusUnprocessableEntity)
			form.Set("account", "acc_"+strings.Repeat("0", 22))
			wantSameAnswer(t, a, b.With(t).Post("/developer/apps", form))
			// A user who is an admin of no account cannot register an app.
			if member := e.LoggedIn(member).With(t).Post("/developer/apps", form); member.Status < 400 || member.Status >= 500 {
				t.Errorf("status = %d", member.Status)
			}
		})
		if now := belongings(e); now != before {
			t.Errorf("somebody else has changed something:\n%s\nwas\n%s", now, before)
		}
		e.WantLive(e.Grant(e.LoggedIn(e.U), e.A).WantToken(t), true)
		t.Run("own app", func(t *testing.T) { saveAgain(t, e.With(t)) })
	})
}

// saveAgain opens the edit form of an app that has something in every field, and saves it.
func saveAgain(t *testing.T, e *harness.Env) {
	for name, confidential := range map[string]bool{"confidential": true, "public": false} {
		app := e.AddApp("All "+name, confidential, harness.CB, func(f *directory.AppForm) {
			f.RedirectURIs = []string{harness.CB, "https://app.test/other?a=1&b=%2F", "http://127.0.0.1/cb", "http://[::1]:8080/cb"}
			f.Description = "Two lines,\nthe second with \"quotes\" & <brackets>, ümläuts and 日本語."
			f.Homepage, f.LogoURL = "https://app.test/?q=a&b=%C3%BC", "https://app.test/logo.png"
			f.Expiring, f.PKCERequired = true, true
		})
		path := "/developer/apps/" + app.ID + "/edit"
		fields := func() []any {
			uris := e.Strings(`SELECT uri FROM app_redirect_uris WHERE app_id = $1 ORDER BY position`, app.ID)
			return append(e.Rows(`SELECT account_id, created_by, name, description, homepage, logo_url, scopes, confidential, expiring, pkce_required,
				created_at, verified_at, suspended_at, deleted_at FROM apps WHERE id = $1`, app.ID)[0], uris)
		}
		before := fmt.Sprint(fields()...)
		one, two := e.LoggedIn(e.U), e.LoggedIn(e.U)
		form, older := one.Get(path).Form(path), two.Get(path).Form(path)
		if form == nil || form.Get("version") == "" || len(form["redirect_uris"]) < 4 {
			t.Fatalf("the form was not read: %v", form)
		}
		if a := one.Post(path, form); a.Status != http.StatusSeeOther {
			t.Fatalf("save: %d: %.800s", a.Status, a.Body)
		}
		if after := fmt.Sprint(fields()...); after != before {
			t.Errorf("saving the form untouched has changed the %s app:\n%s\nwas\n%s", name, after, before)
		}
		older.Set("name", "Older words")
		older.Set("redirect_uris", "https://app.test/older")
		conflict := two.Post(path, older)
		conflict.WantPage(t, http.StatusConflict)
		kept := conflict.Form(path)
		if kept.Get("name") != "Older words" || kept["redirect_uris"][0] != "https://app.test/older" || kept.Get("version") == older.Get("version") {
			t.Errorf("what was typed is lost: %v", kept)
		}
		if after := fmt.Sprint(fields()...); after != before {
			t.Errorf("an older form overwrote the %s app:\n%s\nwas\n%s", name, after, before)
		}
	}
}

// TestSecretShownOnce_D9: the secret of a new app, and each further one, is shown once, on the page that answers the POST, which is not
// stored (no-store, no-referrer). It is on no other page (the app, its list, its edit, revoke and delete pages), in no error page, and
// not in the log, the audit events or any table. Later pages show four characters, the last before the checksum. The same POST
// again creates another secret or is refused.
func TestSecretShownOnce_D9(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		var shown []string
		wantShown := func(a harness.Answer) string {
			t.Helper()
			a.WantPage(t, http.StatusOK)
			wantHeaders(t, a, map[string]string{"Cache-Control": "no-store", "Set-Cookie": "", "Location": ""})
			found := credentials(a.Body, secret.Client)
			if len(found) != 1 {
				t.Fatalf("the page shows %d secrets, want one: %.2000s", len(found), a.Body)
			}
			for _, old := range shown {
				if old == found[0] {
					t.Error("a secret is shown again")
				}
			}
			shown = append(shown, found[0])
			return found[0]
		}
		form := url.Values{"name": {"Delta"}, "redirect_uris": {harness.CB}, "scopes": {"faqs"}, "type": {"confidential"}}
		first := wantShown(b.Make("/developer/apps", form))
		twin := wantShown(b.Make("/developer/apps", form)) // without the form's own value, as a program sends it: another app
		ids := e.Strings(`SELECT id FROM apps WHERE name = 'Delta' ORDER BY created_at, id`)
		app := harness.App{ID: ids[0], Secret: first, URI: harness.CB}
		if len(ids) != 2 {
			t.Fatalf("%d apps", len(ids))
		}
		second := wantShown(b.Make("/developer/apps/"+app.ID+"/secrets", url.Values{"keep": {"forever"}}))
		b.Make("/developer/apps/"+app.ID+"/secrets", url.Values{"keep": {"forever"}}).WantPage(t, http.StatusConflict)
		for _, s := range []string{first, second} {
			e.Token(harness.App{ID: app.ID, Secret: s}, "grant_type", "client_credentials").WantToken(t)
		}
		e.Token(harness.App{ID: ids[1], Secret: twin}, "grant_type", "client_credentials").WantToken(t)
		third := wantShown(b.Make("/developer/apps/"+app.ID+"/secrets", url.Values{"keep": {"now"}}))
		public := b.Make("/developer/apps", url.Values{"name": {"Public"}, "redirect_uris": {harness.CB}, "scopes": {"faqs"}, "type": {"public"}})
		if found := credentials(public.Body, secret.Client); public.Status != http.StatusOK || len(found) != 0 {
			t.Errorf("a public app has a secret: %d", public.Status)
		}

		app.Secret = third // the one that works

		var canaries harness.SecretScanner
		for i, s := range shown {
			canaries.AddCredential(fmt.Sprintf("secret %d", i+1), s)
		}
		for _, path := range mounted(t, http.MethodGet) {
			if !strings.HasPrefix(path, "/developer") && !strings.HasPrefix(path, "/account") {
				continue
			}
			if strings.Contains(path, "{installation}") {
				continue // nothing is installed
			}
			page := b.Get(place(t, e, app, path))
			if strings.Contains(path, "/created/") {
				page.WantPage(t, http.StatusNotFound) // nothing was made by that form
			} else {
				page.WantPage(t, http.StatusOK)
			}
			if found := canaries.Find(page.Body); found != nil {
				t.Errorf("GET %s shows %v", path, found)
			}
		}
		if found := canaries.Find(b.Get("/developer/apps/" + app.ID + "/secrets").Body); found != nil {
			t.Errorf("the error page shows %v", found)
		}
		if page := b.Get("/developer/apps/" + app.ID).Body; !strings.Contains(page, "<code>…"+third[len(third)-4:]+"</code>") {
			t.Error("the last four characters are not shown")
		}
		if found := canaries.Find(e.Log.String()); found != nil {
			t.Errorf("the log holds %v", found)
		}
		if found := canaries.Find(e.Dump()); found != nil {
			t.Errorf("the database holds %v", found)
		}
	})
}

// credentials finds the credentials of a kind in a text.
func credentials(text string, kind secret.Kind) []string {
	var found []string
	for rest := text; ; {
		i := strings.Index(rest, "xno"+string(rune(kind))+"_")
		if i < 0 || len(rest) < i+76 {
			return found
		}
		if _, ok := (secret.Format{}).Parse(rest[i : i+76]); ok {
			found = append(found, rest[i:i+76])
		}
		rest = rest[i+5:]
	}
}
