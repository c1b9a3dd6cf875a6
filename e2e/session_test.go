package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/securecookie"

	"xenoauth/e2e/harness"
	"xenoauth/server"
)

// cookies are the ones that an answer sets, by name.
func cookies(a harness.Answer) map[string]*http.Cookie {
	all := map[string]*http.Cookie{}
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		all[c.Name] = c
	}
	return all
}

// session is the value of the session cookie that an answer sets.
func session(t *testing.T, a harness.Answer) string {
	t.Helper()
	c := cookies(a)["xenoauth"]
	if c == nil || c.Value == "" {
		t.Fatalf("no session cookie: %d %v: %.300s", a.Status, a.Header["Set-Cookie"], a.Body)
	}
	return c.Value
}

// wantVisitor asserts whose browser sends these cookies: that of the address, or nobody's ("").
func wantVisitor(t *testing.T, e *harness.Env, cookie, email string) {
	t.Helper()
	a := askBearer(t, e, "/account", "", "", "Cookie", cookie, "Accept", "text/html")
	switch {
	case email != "" && (a.Status != http.StatusOK || !strings.Contains(a.Body, email)):
		t.Errorf("/account answers %d, want the page of %s", a.Status, email)
	case email == "" && (a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/login?next=profile"):
		t.Errorf("/account answers %d, Location %q; want the log-in page", a.Status, a.Header.Get("Location"))
	}
	front := askBearer(t, e, "/", "", "", "Cookie", cookie, "Accept", "text/html")
	front.WantPage(t, http.StatusOK)
	if in := strings.Contains(front.Body, `href="/logout"`); in != (email != "") {
		t.Errorf("the front page takes the visitor for logged in: %t", in)
	}
}

// TestCookieAttributes_W8: every cookie of every answer in a story of sign-up, log-in, wrong log-in, consent, change of the password
// and log-out, under an https issuer: name with __Host-, Secure, HttpOnly, SameSite=Lax, Path=/, no Domain; under an http
// issuer (loopback) the same without prefix and Secure. The value of a cookie contains neither e-mail address nor user id. No
// cookie is set before a sign-up or log-in, and never for a program. Log-out deletes the session cookie with the same attributes.
func TestCookieAttributes_W8(t *testing.T) {
	for scheme, option := range map[string]func(*server.Options){
		"https": func(o *server.Options) { o.Issuer = "https://auth.test" },
		"http":  func(*server.Options) {},
	} {
		t.Run(scheme, func(t *testing.T) {
			harness.Each(t, func(t *testing.T, e *harness.Env) {
				b, twin, stranger := e.Browser(), e.Browser(), e.Browser()
				prefix := ""
				if scheme == "https" {
					b, twin, stranger, prefix = e.SecureBrowser(), e.SecureBrowser(), e.SecureBrowser(), "__Host-"
				}
				seen := map[string]int{}
				check := func(a harness.Answer) harness.Answer {
					t.Helper()
					for name, c := range cookies(a) {
						seen[name]++
						if !strings.HasPrefix(name, prefix+"xenoauth") || c.Secure != (prefix != "") || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
							t.Errorf("cookie %s", c)
						}
						for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
							inner, _ := encoding.DecodeString(c.Value)
							for _, telling := range []string{e.U.Email, e.U.ID, "nina@users.test", "password"} {
								if bytes.Contains(inner, []byte(telling)) || strings.Contains(c.Value, telling) {
									t.Errorf("the cookie %s tells %s", name, telling)
								}
							}
						}
					}
					return a
				}
				none := func(a harness.Answer) {
					t.Helper()
					if c := a.Header.Get("Set-Cookie"); c != "" {
						t.Errorf("status %d sets %s", a.Status, c)
					}
				}
				for _, path := range []string{"/", "/login", "/signup", "/account", "/nowhere", "/.well-known/oauth-authorization-server", "/api/me", address(request(e.A))} {
					none(stranger.Get(path))
				}
				none(stranger.Post("/oauth/token", e.A.As("grant_type", "client_credentials")))
				none(stranger.Post("/login", url.Values{"email": {e.U.Email}, "password": {"wrong"}}))
				none(stranger.Post("/signup", url.Values{"email": {"x"}, "password": {"x"}}))

				check(b.Post("/signup", url.Values{"name": {"Nina"}, "email": {"nina@users.test"}, "password": {harness.Password}}))
				check(b.Post("/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}}))
				check(twin.Post("/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}}))
				none(b.Get("/account"))
				page := b.Get(address(request(e.A)))
				none(page)
				none(b.Decide(page, "allow"))
				check(b.Post("/account/security", url.Values{"current_password": {harness.Password}, "password": {"another horse battery"}}))
				out := check(b.Post("/logout", url.Values{}))
				gone := cookies(out)[prefix+"xenoauth"]
				if gone == nil || gone.Value != "" || gone.MaxAge >= 0 {
					t.Errorf("log-out leaves the cookie: %v", gone)
				}
				if n := seen[prefix+"xenoauth"]; n != 5 {
					t.Errorf("the session cookie was set %d times, want 5", n)
				}
			}, option)
		})
	}
}

// TestSessionFixation_W9: a browser logs in with a session id that an attacker set: an invented one, or one of the attacker's own
// sessions. Log-in and sign-up set a new id and end the old session, in the attacker's browser as well. After log-out, the old
// cookie is not valid. A changed password gives a new id; the old one and those of all other browsers
// are dead. "Log out everywhere else" ends the others and only them. A session is a row: nothing in the cookie brings it back.
func TestSessionFixation_W9(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		olga := e.AddUser("olga@users.test")
		post := func(t *testing.T, path, cookie string, form url.Values) harness.Answer {
			return e.With(t).Post(path, form, "Cookie", cookie, "Origin", e.URL, "Accept", "text/html")
		}
		logIn := func(t *testing.T, email, cookie string) string {
			t.Helper()
			a := post(t, "/login", cookie, url.Values{"email": {email}, "password": {harness.Password}})
			if a.Status != http.StatusSeeOther {
				t.Fatalf("log in: %d: %.300s", a.Status, a.Body)
			}
			return session(t, a)
		}
		t.Run("planted", func(t *testing.T) {
			made := securecookie.New(bytes.Repeat([]byte("x"), 32), nil)
			madeUp, err := made.Encode("xenoauth", "x")
			if err != nil {
				t.Fatal(err)
			}
			for _, planted := range []string{madeUp, logIn(t, olga.Email, "")} {
				mine := logIn(t, e.U.Email, "xenoauth="+planted)
				if mine == planted {
					t.Fatal("the planted session was taken over")
				}
				wantVisitor(t, e, "xenoauth="+mine, e.U.Email)
				wantVisitor(t, e, "xenoauth="+planted, "")
			}
			planted := logIn(t, olga.Email, "")
			a := post(t, "/signup", "xenoauth="+planted, url.Values{"email": {"nina@users.test"}, "password": {harness.Password}})
			wantVisitor(t, e, "xenoauth="+session(t, a), "nina@users.test")
			wantVisitor(t, e, "xenoauth="+planted, "")
		})
		t.Run("log out", func(t *testing.T) {
			mine, twin := logIn(t, e.U.Email, ""), logIn(t, e.U.Email, "")
			if a := post(t, "/logout", "xenoauth="+mine, url.Values{}); a.Status != http.StatusSeeOther {
				t.Fatalf("log out: %d", a.Status)
			}
			wantVisitor(t, e, "xenoauth="+mine, "")
			wantVisitor(t, e, "xenoauth="+twin, e.U.Email)
			a := post(t, "/account", "xenoauth="+mine, url.Values{"name": {"Mallory"}})
			if a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/login") {
				t.Errorf("the dead session does something: %d", a.Status)
			}
		})
		t.Run("others", func(t *testing.T) {
			mine, twin := logIn(t, e.U.Email, ""), logIn(t, e.U.Email, "")
			hers := logIn(t, olga.Email, "")
			post(t, "/account/security/sessions", "xenoauth="+mine, url.Values{})
			wantVisitor(t, e, "xenoauth="+mine, e.U.Email)
			wantVisitor(t, e, "xenoauth="+twin, "")
			wantVisitor(t, e, "xenoauth="+hers, olga.Email)
		})
		t.Run("password", func(t *testing.T) {
			mine, twin := logIn(t, e.U.Email, ""), logIn(t, e.U.Email, "")
			hers := logIn(t, olga.Email, "")
			wrong := post(t, "/account/security", "xenoauth="+mine, url.Values{"current_password": {"wrong one"}, "password": {"another horse battery"}})
			wrong.WantPage(t, http.StatusUnprocessableEntity)
			wantVisitor(t, e, "xenoauth="+twin, e.U.Email)
			next := session(t, post(t, "/account/security", "xenoauth="+mine, url.Values{"current_password": {harness.Password}, "password": {"another horse battery"}}))
			wantVisitor(t, e, "xenoauth="+next, e.U.Email)
			wantVisitor(t, e, "xenoauth="+mine, "")
			wantVisitor(t, e, "xenoauth="+twin, "")
			wantVisitor(t, e, "xenoauth="+hers, olga.Email)
			if n := e.Count(`SELECT COUNT(*) FROM sessions WHERE user_id = $1`, e.U.ID); n != 1 {
				t.Errorf("%d sessions are kept, want 1", n)
			}
			for _, c := range []struct {
				disabled bool
				email    string
			}{{true, ""}, {false, e.U.Email}} {
				if err := e.Store.SetUserDisabled(context.Background(), harness.Operator, e.U.ID, c.disabled); err != nil {
					t.Fatal(err)
				}
				if c.disabled {
					wantVisitor(t, e, "xenoauth="+next, "")
				}
			}
		})
	})
}

// TestSessionCookieForged_W10: a session cookie with one bit flipped anywhere, cut, doubled, under another name, made with another key
// for a real session, made for another cookie, of 5 kB, empty, not ASCII; 200 cookies, the real one among them or not; a
// second one of the name beside the real one, as a sibling domain can plant it: logged out (the front page 200, /account
// 303), never a 500; the real one alone still works. Under https a cookie without the prefix __Host- counts for nothing
// and does not disturb.
func TestSessionCookieForged_W10(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		a := e.Post("/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}}, "Origin", e.URL)
		real, device := session(t, a), cookies(a)["xenoauth-device"].Value
		for i := 0; i < len(real); i++ {
			if i%7 != 0 && i < len(real)-4 && i > 4 {
				continue
			}
			for bit := range 7 {
				flipped := []byte(real)
				flipped[i] ^= 1 << bit
				// A cookie cannot hold these bytes.
				if c := flipped[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`",;\=`, c) >= 0 {
					continue
				}
				wantNobody(t, e, "xenoauth="+string(flipped))
			}
		}
		inner, err := base64.URLEncoding.DecodeString(real)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(inner), "|")
		id, err := base64.URLEncoding.DecodeString(rest[:44])
		if err != nil || len(id) != 32 {
			t.Fatalf("the cookie was not read: %d bytes, %v", len(id), err)
		}
		encode := func(name string, key byte, value any) string {
			codec := securecookie.New(bytes.Repeat([]byte{key}, 32), nil).SetSerializer(securecookie.NopEncoder{})
			text, err := codec.Encode(name, value)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		var many []string
		for i := range 200 {
			many = append(many, fmt.Sprintf("c%d=%d", i, i))
		}
		for name, cookie := range map[string]string{
			"another key": "xenoauth=" + encode("xenoauth", 'k', id), "key of zeros": "xenoauth=" + encode("xenoauth", 0, id), "the id alone": "xenoauth=" + base64.URLEncoding.EncodeToString(id),
			"without the code": "xenoauth=" + base64.URLEncoding.EncodeToString(inner[:len(inner)-32]), "device cookie": "xenoauth=" + device, "another name": "xenoauth-device=" + real,
			"another case": "XENOAUTH=" + real, "prefix": "__Host-xenoauth=" + real, "cut": "xenoauth=" + real[:len(real)-1], "doubled": "xenoauth=" + real + real, "empty": "xenoauth=", "no value": "xenoauth",
			"5 kB": "xenoauth=" + strings.Repeat("a", 5<<10), "5 kB with it": "xenoauth=" + real + strings.Repeat("a", 5<<10), "not ASCII": "xenoauth=\xff\xfe\xc0\xaf", "quotes": `xenoauth='"--`,
			"200 cookies": strings.Join(many, "; "), "200 of the name": strings.Repeat("xenoauth=x; ", 199) + "xenoauth=x", "planted before": "xenoauth=x; xenoauth=" + real,
			"planted after": "xenoauth=" + real + "; xenoauth=x", "the same twice": "xenoauth=" + real + "; xenoauth=" + real, "none": "",
		} {
			t.Run(name, func(t *testing.T) { wantVisitor(t, e.With(t), cookie, "") })
		}
		wantVisitor(t, e, "xenoauth="+real, e.U.Email)
		wantVisitor(t, e, strings.Join(many, "; ")+"; xenoauth="+real, e.U.Email)
		wantVisitor(t, e, "__Host-xenoauth=x; xenoauth="+real, e.U.Email)
		wantVisitor(t, e, "xenoauth-device=garbage; xenoauth="+real, e.U.Email)
	})
	t.Run("https", func(t *testing.T) {
		harness.Each(t, func(t *testing.T, e *harness.Env) {
			b := e.SecureBrowser()
			a := b.Post("/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}})
			real := cookies(a)["__Host-xenoauth"].Value
			for cookie, status := range map[string]int{
				"__Host-xenoauth=" + real:                    http.StatusOK,
				"xenoauth=" + real:                           http.StatusSeeOther,
				"xenoauth=x; __Host-xenoauth=" + real:        http.StatusOK,
				"__Host-xenoauth=x; __Host-xenoauth=" + real: http.StatusSeeOther,
			} {
				if a := e.SecureBrowser().Send(http.MethodGet, "/account", nil, "Cookie", cookie); a.Status != status {
					t.Errorf("%.30s…: status %d, want %d", cookie, a.Status, status)
				}
			}
		}, func(o *server.Options) { o.Issuer = "https://auth.test" })
	})
}

// wantNobody is wantVisitor with one request.
func wantNobody(t *testing.T, e *harness.Env, cookie string) {
	t.Helper()
	a := askBearer(t, e, "/account", "", "", "Cookie", cookie, "Accept", "text/html")
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/login?next=profile" {
		t.Errorf("%s: status %d, want the log-in page", cookie, a.Status)
	}
}
