package e2e

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
)

// TestConsentShowsRole_N4: a member with each role approves all scopes. The consent page describes the part of each that the role leaves:
// the rest is struck and named with the role that it needs, a scope that gives nothing is named as such before Allow,
// and so is an app that could do nothing; with several accounts this stands beside each. /api/me, introspection and the
// installed-apps page come to the same permissions. Forward-auth for a permission that the role cuts is 403 and names no
// scope, for one whose scope is missing it names that scope and no other; after a step-up to it the request passes. When
// the role changes, all of this changes with it.
func TestConsentShowsRole_N4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		u := e.AddAgent("agent@users.test")
		e.Exec(`UPDATE accounts SET disabled_at = 1 WHERE id IN (SELECT account_id FROM members WHERE user_id = $1 AND role = 'admin')`, u.ID)
		b := e.LoggedIn(u)
		all := strings.Join(scope.Default().Names(), " ")
		for _, role := range []scope.Role{scope.RoleAgent, scope.RoleGuest, scope.RoleAdmin} {
			e.SetRole(u, role)
			page := b.Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", all, "prompt", "consent")
			page.WantPage(t, http.StatusOK)
			wantGrants(t, "consent page", page.Body, role, scope.Default().Names())
			token := e.Grant(b, e.A, "scope", all, "account", u.Account.ID).WantToken(t)
			wantEffective(t, e, token, role, all)
			wantGrants(t, "installed apps", b.Get("/account/apps").Body, role, scope.Default().Names())
			for _, p := range scope.Permissions() {
				wantStepUp(t, e, token, string(p), scope.Default().RoleAllows(role, p) && !strings.HasSuffix(string(p), ":self"))
			}
		}
		wantNothingSaid(t, e, u)
		wantChoiceSaid(t, e)
	})
}

var (
	tags  = regexp.MustCompile(`<[^>]*>`)
	items = regexp.MustCompile(`(?s)<li[^>]*>.*?</li>`)
)

// said is the text of a part of a page, with struck text in brackets.
func said(part string) string {
	part = strings.NewReplacer("<s>", "[", "</s>", "]").Replace(part)
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(part, " "))), " ")
}

// wantGrants asserts that a page describes each scope as the role leaves it.
func wantGrants(t *testing.T, what, page string, role scope.Role, names []string) {
	t.Helper()
	for _, name := range names {
		set, err := scope.NewSet(name)
		if err != nil {
			t.Fatal(err)
		}
		g := scope.Default().Grants(set, role)[0]
		want := []string{g.Title}
		if g.Nothing() {
			want = append(want, "No access")
		}
		if g.Can != "" {
			want = append(want, g.Can+".")
		}
		for _, l := range g.Lost {
			want = append(want, fmt.Sprintf("[%s.] Needs %s; the app will not get it.", l.Words, l.Needs))
		}
		if !g.Cut() {
			want = append(want, g.Description)
		}
		found := false
		for _, item := range items.FindAllString(page, -1) {
			found = found || containsAll(said(item), want) && strings.Contains(item, "<s>") == g.Cut()
		}
		if !found {
			t.Errorf("%s for %s: %s is not described by %q:\n%s", what, role, name, want, said(page))
		}
	}
}

func containsAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

// wantEffective asserts that /api/me and introspection have the permissions that scopes and role both give.
func wantEffective(t *testing.T, e *harness.Env, token string, role scope.Role, scopes string) {
	t.Helper()
	set, err := scope.ParseSet(scopes)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(scope.Default().Effective(set, role))
	me, introspection := e.Me(token).JSON(t), e.Introspect(e.A, token).JSON(t)
	if got, also := fmt.Sprint(me["permissions"]), fmt.Sprint(introspection["permissions"]); got != want || also != want {
		t.Errorf("%s: /api/me has %s, introspection %s, want %s", role, got, also, want)
	}
	if got := introspection["scope"]; got != set.String() {
		t.Errorf("%s: scope %q, want it as it was granted", role, got)
	}
}

// wantStepUp asserts a gateway's answer to a token that has all scopes of the catalogue: nothing that a step-up could
// change is missing, so no scope is named.
func wantStepUp(t *testing.T, e *harness.Env, token, permission string, allowed bool) {
	t.Helper()
	set, err := scope.ParseSet(strings.Join(scope.Default().Names(), " "))
	if err != nil {
		t.Fatal(err)
	}
	passes := false
	for _, p := range scope.Default().ScopePermissions(set) {
		passes = passes || allowed && string(p) == permission
	}
	a := e.Verify(token, "permission="+permission)
	if passes {
		if a.Status != http.StatusOK {
			t.Errorf("%s: %d: %s", permission, a.Status, a.Body)
		}
		return
	}
	if got := a.Header.Get("WWW-Authenticate"); a.Status != http.StatusForbidden || got != `Bearer realm="xenoauth", error="insufficient_scope"` {
		t.Errorf("%s: %d %q, want 403 that names no scope: %s", permission, a.Status, got, a.Body)
	}
	if byRole := strings.Contains(a.String(t, "error_description"), "member's role"); byRole == allowed && !strings.HasSuffix(permission, ":self") {
		t.Errorf("%s, which the role allows: %v: %s", permission, allowed, a.Body)
	}
}

// wantNothingSaid: an app that could do nothing is named as that before Allow; a step-up helps exactly where the role allows it.
func wantNothingSaid(t *testing.T, e *harness.Env, u harness.User) {
	t.Helper()
	e.SetRole(u, scope.RoleAgent)
	b := e.LoggedIn(u)
	page := b.Authorize("client_id", e.B.ID, "redirect_uri", harness.CB, "scope", "widgets")
	if text := said(page.Body); !strings.Contains(text, "The app gets only your name and e-mail address. You are an agent of this account") || !strings.Contains(text, "No access") {
		t.Errorf("widgets for an agent: %s", text)
	}
	token := e.Grant(b, e.B, "scope", "widgets").WantToken(t)
	for query, scopes := range map[string]string{
		"permission=service:list": "", "scope=widgets&permission=service:list": "", "permission=contact:list": "contacts", "permission=contact:fetch": "",
		"permission=contact:list&permission=service:list": "", "scope=contacts": "contacts", "scope=widgets+contacts": "contacts", "scope=contacts&permission=service:list": "",
	} {
		challenge := `Bearer realm="xenoauth", error="insufficient_scope"`
		if scopes != "" {
			challenge += `, scope="` + scopes + `"`
		}
		a := e.Verify(token, query)
		a.WantError(t, http.StatusForbidden, "insufficient_scope")
		if got := a.Header.Get("WWW-Authenticate"); got != challenge {
			t.Errorf("%s: %q, want %q: %s", query, got, challenge, a.Body)
		}
	}
	stepped := e.Grant(b, e.B, "scope", "widgets contacts").WantToken(t)
	if a := e.Verify(stepped, "permission=contact:list"); a.Status != http.StatusOK {
		t.Errorf("after the step-up: %d: %s", a.Status, a.Body)
	}
}

// wantChoiceSaid: with several accounts, each names the rights that the role there leaves.
func wantChoiceSaid(t *testing.T, e *harness.Env) {
	t.Helper()
	u := e.AddAgent("two@users.test")
	page := e.LoggedIn(u).Authorize("client_id", e.B.ID, "redirect_uri", harness.CB, "scope", "widgets contacts").Body
	labels := regexp.MustCompile(`(?s)<label class="choice">.*?</label>`).FindAllString(page, -1)
	if len(labels) != 2 {
		t.Fatalf("%d accounts to choose from: %s", len(labels), page)
	}
	for _, label := range labels {
		text := said(label)
		want := []string{"You are an admin there: the app gets everything it asks for."}
		if strings.Contains(label, `value="`+u.Account.ID+`"`) {
			want = []string{"You are an agent there, so the app gets less:", "Chat widgets and brands : nothing. [List, read, add and change widgets and brands.] Needs an admin; the app will not get it.",
				"Contacts : List contacts. [Read, add and change contacts.] Needs an admin; the app will not get it."}
		}
		if !containsAll(text, want) {
			t.Errorf("the choice says %q, want %q", text, want)
		}
	}
}
