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

// TestClientsDocument: every error_description in the table of docs/clients.md is answered, to the letter, for the mistake that
// the document names.
func TestClientsDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		b := r.LoggedIn(r.U)
		token := func(a harness.Answer) string { return a.String(t, "error_description") }
		redirect := func(a harness.Answer) string { return a.Location(t).Query().Get("error_description") }
		expiring := r.AddExpiring("Echo")
		f := newFamily(t, r, b, expiring)
		next := refresh(r, expiring, f.refresh)
		refresh(r, expiring, next.String(t, "refresh_token")).WantToken(t)
		used := b.Code(r.P)
		r.Exchange(r.P, used).WantToken(t)
		narrow := r.AddApp("Narrow", true, harness.CB, scopes("contacts"))
		answered := map[string]bool{}
		for _, description := range []string{
			token(r.Exchange(r.P, used)),
			token(r.Exchange(r.A, b.Code(r.B))),
			token(r.Exchange(r.A, b.Code(r.A), "redirect_uri", harness.CB+"/")),
			token(r.Exchange(r.P, b.Code(r.P), "code_verifier", harness.Verifier+"/=")),
			token(r.Exchange(r.P, b.Code(r.P), "code_verifier", strings.Repeat("w", 43))),
			redirect(b.Get(address(request(r.P, "code_challenge", "-", "code_challenge_method", "-")))),
			redirect(b.Get(address(request(r.A, "scope", "widgets,contacts")))),
			redirect(b.Get(address(request(narrow, "scope", "widgets contacts")))),
			token(r.Post("/oauth/token?"+r.A.As("grant_type", "client_credentials").Encode(), url.Values{})),
			token(r.Post("/oauth/token", url.Values{"client_id": {r.A.ID}, "code": {used}})),
			token(r.Token(harness.App{ID: r.A.ID, Secret: r.B.Secret}, "code", used)),
			token(refresh(r, expiring, f.refresh)),
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
