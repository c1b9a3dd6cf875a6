package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
)

// TestMisleadingName_N3: a person signs up, or is renamed, or an app is registered or renamed, under a name that holds this
// service's own, calls itself verified or official or wears a check mark, has styled letters, mixes scripts in a word, or
// can be taken for that of a verified app or its publisher (Unicode TS 39): refused with a sentence at the name. Names of
// other languages, and names that are merely similar, are taken. Of an unverified app the consent page marks the publisher as
// the name that the account calls itself, and shows no homepage; neither does the list of installed apps. Earlier names can still be read.
func TestMisleadingName_N3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		publisher := e.AddUser("zapier@users.test")
		e.Exec(`UPDATE accounts SET name = 'Automation Works, Inc.' WHERE id = $1`, publisher.Account.ID)
		theirs := *e
		theirs.U = publisher
		theirs.AddApp("Zapier", true, harness.CB)
		person := e.AddUser("person@users.test")
		b := e.LoggedIn(person)
		own := *e
		own.U = person
		app := own.AddApp("Honest", true, harness.CB, func(f *directory.AppForm) { f.Homepage = "https://claimed.example/" })
		if err := e.Store.UnverifyApp(t.Context(), harness.Operator, app.ID); err != nil {
			t.Fatal(err)
		}
		signUp := func(name string) harness.Answer {
			return e.Browser().Post("/signup", url.Values{"name": {name}, "email": {secret.NewUserID() + "@users.test"}, "password": {harness.Password}})
		}
		register := func(name string) harness.Answer {
			return b.Post("/developer/apps", url.Values{"name": {name}, "redirect_uris": {harness.CB}, "scopes": {"faqs"}})
		}
		rename := func(name string) harness.Answer {
			path := "/developer/apps/" + app.ID + "/edit"
			form := b.Get(path).Form(path)
			form.Set("name", name)
			return b.Post(path, form)
		}
		for _, name := range []string{
			"Xenoauth, Inc.", "X e n o a u t h", "𝐗𝐞𝐧𝐨𝐚𝐮𝐭𝐡", "Хеnoauth", "Xеnоauth", "ＸＥＮＯＡＵＴＨ", "Xenoauth Support", "Zapier", "ZAPIER", "Zapier.", "Zapier, Inc.",
			"Zapier™", "Zаpier", "Ζapier", "𝒁𝒂𝒑𝒊𝒆𝒓", "Ｚａｐｉｅｒ", "Zápier", "Z·a·p·i·e·r", "Zapier ✓", "Zapier ✓ Verified", "Zapier (official)", "Verified by Acme", "Acme ✅", "Acme (certified)", "Geprüft: Acme", "Acme 官方", "Официальный Магазин",
			"Automation Works", "Αutomation Works LLC", "Gօօgle", "Ⓐcme",
		} {
			for how, a := range map[string]harness.Answer{"sign-up": signUp(name), "rename": b.Post("/account", url.Values{"name": {name}}), "register": register(name), "edit": rename(name)} {
				if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, `id="name-fault"`) {
					t.Errorf("%s as %q: %d", how, name, a.Status)
				}
			}
		}
		for _, name := range []string{"Яндекс Такси", "日本語アプリ", "Café Zoë", "Unofficial Forum client", "非公式クライアント", "Zapiers of Old", "Happier", "Google LLC", "مرحبا", "Official"[:5] + " Space"} {
			for how, a := range map[string]harness.Answer{"sign-up": signUp(name), "rename": b.Post("/account", url.Values{"name": {name}}), "edit": rename(name)} {
				if a.Status != http.StatusSeeOther {
					t.Errorf("%s as %q: %d: %.1500s", how, name, a.Status, a.Body)
				}
			}
		}
		e.Exec(`UPDATE accounts SET name = 'Google LLC' WHERE id = $1`, person.Account.ID)
		e.Exec(`UPDATE apps SET name = 'Zapier ✓ Verified' WHERE id = $1`, app.ID)
		visitor := e.LoggedIn(e.AddUser("visitor@users.test"))
		page := visitor.Get(address(request(app)))
		wantConsentOf(t, page)
		e.Exchange(app, e.WantCode(visitor.Decide(page, "allow"), harness.CB, "xyz"))
		unproven := "Published by an unverified account that calls itself “Google LLC”"
		if !strings.Contains(page.Body, unproven) || strings.Contains(page.Body, "claimed.example") || !strings.Contains(page.Body, "Zapier ✓ Verified") {
			t.Errorf("the consent page of an unverified app: %.2500s", page.Body)
		}
		if a := visitor.Get("/account/apps"); strings.Contains(a.Body, "claimed.example") || !strings.Contains(a.Body, "Zapier ✓ Verified") {
			t.Error("the installed apps show a homepage that is the app's own word")
		}
		if parked := e.Browser(); !strings.Contains(parked.Get("/login?next="+wantLogIn(t, parked.Get(address(request(app))))).Body, "An unverified app that calls itself") {
			t.Error("the log-in page speaks for an unverified app")
		}
		stored, err := e.Rules.App(t.Context(), harness.Operator, app.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Rules.VerifyApp(t.Context(), harness.Operator, app.ID, stored.Version); err != nil {
			t.Fatal(err)
		}
		page = visitor.Get(address(request(app, "prompt", "consent")))
		if strings.Contains(page.Body, "calls itself") || !strings.Contains(page.Body, "claimed.example · by Google LLC") {
			t.Errorf("the consent page of a verified app: %.2500s", page.Body)
		}
		if a := visitor.Get("/account/apps"); !strings.Contains(a.Body, "claimed.example") {
			t.Error("the installed apps do not show the homepage of a verified app")
		}
	})
}
