package e2e

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
)

var describedRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// TestClientsDocument: each error_description in the table of docs/clients.md is, to the letter, the answer to the mistake that
// the document names.
func TestClientsDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		token := func(a harness.Answer) string { return a.String(t, "error_description") }
		redirect := func(a harness.Answer) string { return a.Location(t).Query().Get("error_description") }
		expiring := e.AddExpiring("Echo")
		f := newFamily(t, e, b, expiring)
		next := refresh(e, expiring, f.refresh)
		refresh(e, expiring, next.String(t, "refresh_token")).WantToken(t)
		used := b.Code(e.P)
		e.Exchange(e.P, used).WantToken(t)
		narrow := e.AddApp("Narrow", true, harness.CB, scopes("contacts"))
		answered := map[string]bool{}
		for _, description := range []string{
			token(e.Exchange(e.P, used)),
			token(e.Exchange(e.A, b.Code(e.B))),
			token(e.Exchange(e.A, b.Code(e.A), "redirect_uri", harness.CB+"/")),
			token(e.Exchange(e.P, b.Code(e.P), "code_verifier", harness.Verifier+"/=")),
			token(e.Exchange(e.P, b.Code(e.P), "code_verifier", strings.Repeat("w", 43))),
			redirect(b.Get(address(request(e.P, "code_challenge", "-", "code_challenge_method", "-")))),
			redirect(b.Get(address(request(e.A, "scope", "widgets,contacts")))),
			redirect(b.Get(address(request(narrow, "scope", "widgets contacts")))),
			token(e.Post("/oauth/token?"+e.A.As("grant_type", "client_credentials").Encode(), url.Values{})),
			token(e.Post("/oauth/token", url.Values{"client_id": {e.A.ID}, "code": {used}})),
			token(e.Token(harness.App{ID: e.A.ID, Secret: e.B.Secret}, "code", used)),
			token(refresh(e, expiring, f.refresh)),
		} {
			answered[description] = true
		}
		rows := describedRow.FindAllStringSubmatch(string(text), -1)
		for _, row := range rows {
			if row[1] != "error_description" && !answered[row[1]] {
				t.Errorf("docs/clients.md has %q, which is not the actual answer", row[1])
			}
		}
		if len(rows) != len(answered)+1 {
			t.Errorf("the table has %d rows for %d answers: %v", len(rows), len(answered), answered)
		}
	})
}
