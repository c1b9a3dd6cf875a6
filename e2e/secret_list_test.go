package e2e

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// shownSecret is a credential in a page.
var shownSecret = regexp.MustCompile(`xno[skb]_[0-9A-Za-z]{71}`)

// owner has secrets that a page lists.
type owner struct {
	kind   string
	page   string // lists the secrets
	rotate string // the form's address
	path   string // of the owner
	first  string
}

// owners are an app, a key of each kind and a bot of U.
func owners(e *harness.Env) []owner {
	account := e.AddKey(e.U.Account.ID, "")
	token := e.AddKey(e.U.Account.ID, e.U.ID, "agent")
	bot := e.AddBot(e.U.Account.ID, "Order bot")
	app := "/developer/apps/" + e.A.ID
	return []owner{
		{"app", app, app + "/secrets", app, e.A.Secret},
		{"account API key", "/account/keys", "/account/keys/" + account.ID + "/rotate", "/account/keys/" + account.ID, account.Text},
		{"key with scopes", "/account/keys", "/account/keys/" + token.ID + "/rotate", "/account/keys/" + token.ID, token.Text},
		{"bot", "/account/bots/" + bot.ID, "/account/bots/" + bot.ID + "/rotate", "/account/bots/" + bot.ID, bot.Secret},
	}
}

// TestSecretList_N7: the secrets of an app, of API keys of both kinds and of a bot are listed by their real last four
// characters; after a rotation with an overlap both stand in the list, the old one with the time it ends, and each can be
// revoked by itself, after which it is no longer listed and the other one works. Of a secret that an older version stored,
// the characters that are unknown are question marks. Secrets of resource servers are listed alike for the command line.
func TestSecretList_N7(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		for _, o := range owners(e) {
			second := rotated(t, b.With(t), o)
			page := b.Get(o.page)
			page.WantPage(t, http.StatusOK)
			for _, text := range []string{o.first, second} {
				if shown := "…" + text[len(text)-4:]; !strings.Contains(page.Body, shown) {
					t.Errorf("%s: %s is not listed by its last characters %s", o.kind, e.Parse(text).ID, shown)
				}
			}
			until := e.Strings(`SELECT CAST(expires_at AS TEXT) FROM client_secrets WHERE id = $1`, idOf(e, o.first))
			if len(until) != 1 || !strings.Contains(page.Body, `datetime="`+isoMicros(t, until[0])+`"`) {
				t.Errorf("%s: the end of the old secret, %v, is not in the list", o.kind, until)
			}
			for i, text := range []string{o.first, second} {
				revoke := o.path + "/secrets/" + e.Parse(text).ID.String() + "/revoke"
				if !strings.Contains(page.Body, `href="`+revoke+`"`) {
					t.Errorf("%s: secret %d cannot be revoked by itself", o.kind, i+1)
				}
			}
			if strings.Contains(o.kind, "key") {
				both := b.Get(o.path + "/revoke").Body
				if !strings.Contains(both, "Both keys") || !strings.Contains(both, o.first[len(o.first)-4:]) || !strings.Contains(both, second[len(second)-4:]) {
					t.Errorf("%s: the question before both are revoked does not name both", o.kind)
				}
			}
			revoke := o.path + "/secrets/" + e.Parse(o.first).ID.String() + "/revoke"
			question := b.Get(revoke)
			question.WantPage(t, http.StatusOK)
			if !strings.Contains(question.Body, o.first[len(o.first)-4:]) {
				t.Errorf("%s: the question does not name the secret", o.kind)
			}
			if a := b.Post(revoke, question.Form(revoke)); a.Status != http.StatusSeeOther {
				t.Fatalf("%s: revoking answers %d: %.200s", o.kind, a.Status, a.Body)
			}
			if again := b.Get(revoke); again.Status != http.StatusSeeOther || again.Header.Get("Location") != o.page {
				t.Errorf("%s: the question about a revoked secret answers %d %s", o.kind, again.Status, again.Header.Get("Location"))
			}
			page = b.Get(o.page)
			if shown := "…" + o.first[len(o.first)-4:]; strings.Contains(page.Body, shown) {
				t.Errorf("%s: the revoked secret is still listed", o.kind)
			}
			if !strings.Contains(page.Body, "…"+second[len(second)-4:]) {
				t.Errorf("%s: the other secret is no longer listed", o.kind)
			}
			wantSecretLive(t, e, o.first, false)
			wantSecretLive(t, e, second, true)

			// The version before stored the four characters before the checksum.
			e.Exec(`UPDATE client_secrets SET hint = $1, hint_after = 6 WHERE id = $2`, second[66:70], idOf(e, second))
			page = b.Get(o.page)
			if !strings.Contains(page.Body, "…"+second[66:70]+"??????") || !strings.Contains(page.Body, "an unknown character") {
				t.Errorf("%s: a secret of an older version is not marked", o.kind)
			}
		}
		resource := e.AddResource("Widgets API")
		list, err := e.Rules.ResourceSecrets(context.Background(), harness.Operator, resource.ID)
		if err != nil || len(list) != 1 || list[0].Hint != resource.Secret[len(resource.Secret)-4:] {
			t.Errorf("secrets of a resource server: %v, %v", list, err)
		}
	})
}

// TestRotationIsSaid: the page that shows another secret states when the one before it ends: not later than that was to end
// already, and nothing if none works.
func TestRotationIsSaid(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		for _, o := range owners(e) {
			revoke := func(text string) {
				t.Helper()
				if a := b.Post(o.path+"/secrets/"+e.Parse(text).ID.String()+"/revoke", url.Values{}); a.Status != http.StatusSeeOther {
					t.Fatalf("%s: revoking answers %d", o.kind, a.Status)
				}
			}
			made := func(keep string) (string, string) {
				t.Helper()
				a := b.Follow(b.Post(o.rotate, url.Values{"keep": {keep}}))
				a.WantPage(t, http.StatusOK)
				return a.Body, shownSecret.FindString(a.Body)
			}
			page, second := made("24h")
			if !strings.Contains(page, " expires in 24 hours.") {
				t.Errorf("%s: the end of the previous secret is not shown: %.2000s", o.kind, page)
			}
			revoke(second)
			micros := e.Strings(`SELECT CAST(expires_at AS TEXT) FROM client_secrets WHERE id = $1`, idOf(e, o.first))
			end, err := time.Parse(time.RFC3339, isoMicros(t, micros[0]))
			if err != nil {
				t.Fatal(err)
			}
			page, third := made("7d")
			if want := "still expires on " + end.Format("2 January 2006, 15:04 UTC") + "."; !strings.Contains(page, want) {
				t.Errorf("%s: the page does not have %q: %.2000s", o.kind, want, page)
			}
			if until := e.Strings(`SELECT CAST(expires_at AS TEXT) FROM client_secrets WHERE id = $1`, idOf(e, o.first)); until[0] != micros[0] {
				t.Errorf("%s: a rotation moved the end of the secret before from %s to %s", o.kind, micros[0], until[0])
			}
			revoke(o.first)
			revoke(third)
			form := o.rotate
			if o.kind == "app" {
				form = o.page
			}
			if ask := b.Get(form); strings.Contains(ask.Body, ">Current ") || strings.Contains(ask.Body, "The current one") {
				t.Errorf("%s: the form mentions a secret that does not work", o.kind)
			}
			if page, fourth := made("now"); fourth == "" || strings.Contains(page, "The previous") {
				t.Errorf("%s: the page mentions a previous secret, although there is none: %.2000s", o.kind, page)
			}
		}
	})
}

// rotated makes another secret of the owner, with an overlap of a day, and returns it.
func rotated(t *testing.T, b *harness.Browser, o owner) string {
	t.Helper()
	a := b.Post(o.rotate, url.Values{"keep": {"24h"}})
	if a.Status == http.StatusSeeOther {
		a = b.Follow(a)
	}
	text := shownSecret.FindString(a.Body)
	if text == "" || text == o.first {
		t.Fatalf("%s: rotating answers %d without another secret: %.300s", o.kind, a.Status, a.Body)
	}
	return text
}

func idOf(e *harness.Env, text string) []byte {
	id := e.Parse(text).ID
	return id[:]
}

// isoMicros is a column's time as pages have it.
func isoMicros(t *testing.T, micros string) string {
	t.Helper()
	d, err := time.ParseDuration(micros + "us")
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, 0).Add(d).UTC().Format(time.RFC3339)
}

// wantSecretLive asserts whether a secret works, whatever it belongs to.
func wantSecretLive(t *testing.T, e *harness.Env, text string, live bool) {
	t.Helper()
	s, err := e.Store.SecretByID(context.Background(), store.LookupID(e.Parse(text).ID))
	if err != nil || s.LiveAt(e.Store.Now()) != live {
		t.Errorf("secret %s: %v, %v; want live %t", secret.ID(s.ID), s.LiveAt(e.Store.Now()), err, live)
	}
}
