package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
)

// standardScopes are what libraries of OpenID Connect add unasked, and this server does not have.
var standardScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

// TestStandardScopes is S4's part about standard scopes, at every place that takes a scope: they are left out of the request, the page and the answer's scope have the rest alone, in the spelling of the request; and where nothing is left, the
// answer is invalid_scope. A name that is no standard scope fails the request as before.
func TestStandardScopes(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b, expiring := e.LoggedIn(e.U), e.AddExpiring("Echo")
		for i, name := range standardScopes {
			asked := []string{name + " widget", "contacts " + name, "openid " + name + " widget"}[i%3]
			want := map[bool]string{true: "widget", false: "contacts"}[strings.Contains(asked, "widget")]
			answer := e.Grant(b, expiring, "scope", asked)
			answer.WantToken(t)
			again := refresh(e, expiring, answer.String(t, "refresh_token"), "scope", asked)
			own := e.Token(e.A, "grant_type", "client_credentials", "scope", asked)
			for what, a := range map[string]harness.Answer{"code": answer, "refresh": again, "client_credentials": own} {
				e.WantLive(a.WantToken(t), true)
				if got := a.String(t, "scope"); got != want {
					t.Errorf("%s, %q: scope = %q, want %q", what, asked, got, want)
				}
			}
			for _, alone := range []string{name, "openid " + name} {
				e.WantRedirectError(b.Get(address(request(e.A, "scope", alone))), harness.CB, "invalid_scope", "xyz")
				refresh(e, expiring, again.String(t, "refresh_token"), "scope", alone).WantRefused(t, http.StatusBadRequest, "invalid_scope")
				e.Token(e.A, "grant_type", "client_credentials", "scope", alone).WantRefused(t, http.StatusBadRequest, "invalid_scope")
			}
		}
		e.WantRedirectError(b.Get(address(request(e.A, "scope", "openid groups contacts"))), harness.CB, "invalid_scope", "xyz")
	})
}

// TestPromptList: prompt is a list of values separated by spaces. none beside others, and an unknown value, are
// invalid_request; consent or select_account among others asks a user who would not be asked; the metadata lists the values.
func TestPromptList(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		e.Grant(b, e.A).WantToken(t) // from here on nothing has to be asked
		for _, bad := range []string{"none login", "consent none", "none none select_account", "login create", "Login", "consent,login", "none\tlogin", strings.Repeat("x", 60_000)} {
			e.WantRedirectError(b.Get(address(request(e.A, "prompt", bad))), harness.CB, "invalid_request", "xyz")
		}
		for _, quiet := range []string{"", "none", " none ", "none none"} {
			e.WantCode(b.Get(address(request(e.A, "prompt", quiet))), harness.CB, "xyz")
		}
		for _, asking := range []string{"consent", "select_account", "consent select_account", "select_account  consent", "consent consent"} {
			wantConsent(t, b.Get(address(request(e.A, "prompt", asking))), "Alpha")
		}
		var supported []string
		for _, v := range e.Browser().Get("/.well-known/oauth-authorization-server").JSON(t)["prompt_values_supported"].([]any) {
			supported = append(supported, v.(string))
		}
		if want := []string{"none", "login", "consent", "select_account"}; !slices.Equal(supported, want) {
			t.Errorf("prompt_values_supported = %q, want %q", supported, want)
		}
	})
}

// TestPromptLogin: with login among the values of prompt, a browser that is logged in gets the log-in form, which names the app
// and its user, for as long as its log-in is older than the request; no address of the flow leads past it. After the log-in,
// of this user or another, the request goes on, and the app gets its code. A browser that is logged out logs in once.
func TestPromptLogin(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		e.Grant(b, e.A).WantToken(t)
		other := e.AddUser("other@users.test")
		logIn := func(b *harness.Browser, email, parked string) harness.Answer {
			return b.Post("/login", url.Values{"email": {email}, "password": {harness.Password}, "next": {parked}})
		}
		for _, prompt := range []string{"login", "login consent", "select_account login"} {
			before := b.Cookie("xenoauth")
			parked := wantLogIn(t, b.Get(address(request(e.A, "prompt", prompt))))
			page := b.Get("/login?next=" + parked)
			page.WantPage(t, http.StatusOK)
			if !strings.Contains(page.Body, "Alpha</strong> asks you to log in again") || !strings.Contains(page.Body, `value="`+e.U.Email+`"`) || strings.Contains(page.Body, "/signup") {
				t.Errorf("the log-in page: %s", page.Body)
			}
			for _, around := range []string{"/oauth/consent?request_id=" + parked, "/signup?next=" + parked} {
				a := b.Get(around)
				for strings.HasPrefix(a.Header.Get("Location"), "/oauth/") {
					a = b.Follow(a)
				}
				if got := wantLogIn(t, a); got != parked {
					t.Errorf("%s leads to another request", around)
				}
			}
			wrong := b.Post("/login", url.Values{"email": {e.U.Email}, "password": {"not it at all"}, "next": {parked}})
			wrong.WantPage(t, http.StatusUnprocessableEntity)
			wantLogIn(t, b.Get("/oauth/consent?request_id="+parked))

			back := b.Follow(logIn(b, e.U.Email, parked))
			if b.Cookie("xenoauth") == before {
				t.Error("the session is the one from before")
			}
			if prompt != "login" {
				wantConsent(t, back, "Alpha")
				back = b.Decide(back, "allow")
			}
			e.WantCode(back, harness.CB, "xyz")
			// The next request asks for another log-in.
			wantLogIn(t, b.Get(address(request(e.A, "prompt", prompt))))
		}
		parked := wantLogIn(t, b.Get(address(request(e.A, "prompt", "login"))))
		wantConsent(t, b.Follow(logIn(b, other.Email, parked)), "Alpha") // this user has not approved it yet

		out := e.Browser()
		parked = wantLogIn(t, out.Get(address(request(e.A, "prompt", "login"))))
		if page := out.Get("/login?next=" + parked); strings.Contains(page.Body, "again") {
			t.Errorf("the log-in page of a browser that is logged out: %s", page.Body)
		}
		e.WantCode(out.Follow(logIn(out, e.U.Email, parked)), harness.CB, "xyz")
	})
}

// TestKeptRequest is U2's part about one request: whatever is asked, by a browser that is logged in or not, all values of a
// kept row have 4,096 bytes at most, and no faulty value is kept. A value that is too long is invalid_request by
// redirect after the log-in; one that just fits comes back whole.
func TestKeptRequest(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		long := strings.Repeat("x", 60_000)
		far := e.AddApp("Far", true, harness.CB+"/"+strings.Repeat("y", 2000-len(harness.CB)-1))
		resources := func(n, size int) []string {
			var list []string // each is another one: equal ones are kept once
			for i := range n {
				list = append(list, "https://api.test/"+strings.Repeat(string(rune('a'+i)), size-len("https://api.test/")))
			}
			return list
		}
		in, out := e.LoggedIn(e.U), e.Browser()
		largest := func() int {
			return e.Count(`SELECT COALESCE(MAX(LENGTH(app_id) + LENGTH(redirect_uri) + LENGTH(scope) + LENGTH(scope_asked) + LENGTH(state) + LENGTH(challenge)
				+ LENGTH(resource) + LENGTH(prompt) + LENGTH(fault) + LENGTH(fault_detail)), 0) FROM requests`)
		}
		for name, change := range map[string]url.Values{
			"prompt": {"prompt": {long}}, "scope": {"scope": {long}}, "state": {"state": {long}}, "challenge": {"code_challenge": {long}, "code_challenge_method": {"S256"}},
			"method": {"code_challenge": {"x"}, "code_challenge_method": {long}}, "resource": {"resource": {"https://" + long}}, "response_type": {"response_type": {long}},
			"scopes repeated": {"scope": {strings.Repeat("contacts ", 200)}}, "resources": {"resource": resources(10, 500)}, "prompts repeated": {"prompt": {strings.Repeat("consent ", 6000)}},
			"login_hint": {"login_hint": {long}}, "unknown": {"foo": {long}}, "a name": {long[:10_000]: {"x"}, "state[": {"x"}},
			"state and resources": {"state": {strings.Repeat("s", 2048)}, "resource": resources(4, 500)},
			"several faults":      {"state": {strings.Repeat("s", 2048)}, "scope": {long}, "prompt": {long}, "resource": {long}},
		} {
			for _, app := range []harness.App{e.A, far} {
				v := request(app)
				for parameter, values := range change {
					v[parameter] = values
				}
				if a := out.Get(address(v)); a.Status != http.StatusSeeOther && a.Status != http.StatusRequestURITooLong && a.Status != http.StatusRequestHeaderFieldsTooLarge && a.Status != http.StatusBadRequest {
					t.Errorf("%s: status %d", name, a.Status)
				}
				in.Get(address(v))
				if n := largest(); n > 4096 {
					t.Errorf("%s: a row has %d bytes", name, n)
				}
			}
		}
		// At the limits.
		fits := address(url.Values(request(e.A, "state", strings.Repeat("s", 2048), "prompt", "consent"))) + "&" + url.Values{"resource": resources(3, 500)}.Encode()
		e.WantCode(in.Decide(in.Get(fits), "allow"), harness.CB, strings.Repeat("s", 2048))
		over := address(url.Values(request(e.A, "state", strings.Repeat("s", 2048)))) + "&" + url.Values{"resource": resources(5, 500)}.Encode()
		e.WantRedirectError(in.Get(over), harness.CB, "invalid_request", strings.Repeat("s", 2048))
		beside := 4096 - 300 - 2000
		e.WantRedirectError(in.Get(address(request(far, "state", strings.Repeat("s", beside), "scope", "bogus"))), far.URI, "invalid_scope", strings.Repeat("s", beside))
		e.WantRedirectError(in.Get(address(request(far, "state", strings.Repeat("s", beside+1)))), far.URI, "invalid_request", "")
		if n := largest(); n > 4096 {
			t.Errorf("a row has %d bytes", n)
		}
	})
}

// TestCodeTwice: the second exchange of a code names the usual cause in its description.
func TestCodeTwice(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		code := e.LoggedIn(e.U).Code(e.P)
		e.Exchange(e.P, code).WantToken(t)
		again := e.Exchange(e.P, code)
		again.WantGrantRefused(t)
		if got := again.String(t, "error_description"); !strings.Contains(got, "already used") || !strings.Contains(got, "check that the callback does not send the code twice") {
			t.Errorf("error_description = %q", got)
		}
	})
}
