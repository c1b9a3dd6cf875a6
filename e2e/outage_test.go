package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/server"
)

const (
	// mostWait is how long anybody waits for an answer, whatever the database does.
	mostWait = 3500 * time.Millisecond // the server answers within 3 s; the rest is for a busy machine
	// mostRecovery is how long after the database has returned the server may still say that it is gone.
	mostRecovery = 5 * time.Second
)

// ask is one request of somebody who has everything right, and the status of its success.
type ask struct {
	name string
	page bool
	want int
	do   func() harness.Answer
}

// scene is a server over a Postgres that somebody ill-treats, with people and apps in the midst of everything.
type scene struct {
	t        *testing.T
	r        *harness.Env
	b        *harness.Browser
	url      string
	token    string // never expires
	expiring string
	once     []ask // each may succeed once
	always   []ask
	acked    []string // further tokens that were acknowledged
}

func newScene(t *testing.T, c *dbtest.Cluster) *scene {
	t.Helper()
	databaseURL, err := c.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := harness.New(t, dbtest.Open(t, databaseURL, dbtest.AsServed), func(o *server.Options) {
		o.CodeLifetime, o.DatabaseBudget = server.MaxCodeLifetime, 0
	})
	s := &scene{t: t, r: e, b: e.LoggedIn(e.U), url: databaseURL}
	expiring := e.AddExpiring("Echo")
	s.token = e.Grant(s.b, e.A).WantToken(t)
	family := e.Grant(s.b, expiring)
	s.expiring = family.WantToken(t)
	s.once = append(s.asksOnce(expiring, family.String(t, "refresh_token")), s.programsOnce()...)
	s.always = append(s.asksAlways(), s.programsAlways()...)
	return s
}

// asksOnce are those that use something up.
func (s *scene) asksOnce(expiring harness.App, refresh string) []ask {
	e, code := s.r, s.b.Code(s.r.A)
	leaving, approving := e.LoggedIn(e.U), e.LoggedIn(e.AddUser("vera@users.test"))
	consent := approving.Authorize("client_id", e.A.ID, "state", "xyz", "scope", "contacts", "redirect_uri", harness.CB)
	other := e.Grant(s.b, e.B).WantToken(s.t)
	return []ask{
		{"redeem a code", false, http.StatusOK, func() harness.Answer { return e.Exchange(e.A, code) }},
		{"refresh", false, http.StatusOK, func() harness.Answer {
			return e.Token(expiring, "grant_type", "refresh_token", "refresh_token", refresh)
		}},
		{"revoke", false, http.StatusOK, func() harness.Answer { return e.Post("/oauth/revoke", e.B.As("token", other)) }},
		{"allow", true, http.StatusSeeOther, func() harness.Answer { return approving.Decide(consent, "allow") }},
		{"log out", true, http.StatusSeeOther, func() harness.Answer { return leaving.Post("/logout", url.Values{}) }},
		{"sign up", true, http.StatusSeeOther, func() harness.Answer {
			return e.Browser().Post("/signup", url.Values{"email": {"new@users.test"}, "name": {"New"}, "password": {harness.Password}})
		}},
	}
}

// asksAlways can be repeated.
func (s *scene) asksAlways() []ask {
	e, b := s.r, s.b
	get := func(path string) ask {
		return ask{"GET " + path, true, http.StatusOK, func() harness.Answer { return b.Get(path) }}
	}
	app := "/developer/apps/" + e.A.ID
	newApp := url.Values{"name": {"New"}, "redirect_uris": {harness.CB}, "scopes": {"widgets"}, "type": {"confidential"}}
	return []ask{
		{"client credentials", false, http.StatusOK, func() harness.Answer {
			return e.Token(e.A, "grant_type", "client_credentials", "scope", "widgets")
		}},
		{"introspect", false, http.StatusOK, func() harness.Answer { return e.Introspect(e.A, s.token) }},
		{"me", false, http.StatusOK, func() harness.Answer { return e.Me(s.token) }},
		{"me, expiring", false, http.StatusOK, func() harness.Answer { return e.Me(s.expiring) }},
		{"metadata", false, http.StatusOK, func() harness.Answer {
			request, _ := http.NewRequest(http.MethodGet, e.URL+"/.well-known/oauth-authorization-server", nil)
			return e.Do(request)
		}},
		{"authorize", true, http.StatusOK, func() harness.Answer {
			return b.Authorize("client_id", e.B.ID, "state", "xyz", "scope", "widgets", "redirect_uri", harness.CB)
		}},
		{"authorize, covered", true, http.StatusSeeOther, func() harness.Answer {
			return b.Authorize("client_id", e.A.ID, "state", "xyz", "scope", "contacts", "redirect_uri", harness.CB)
		}},
		{"authorize, logged out", true, http.StatusSeeOther, func() harness.Answer {
			return e.Browser().Authorize("client_id", e.A.ID, "state", "xyz", "scope", "contacts", "redirect_uri", harness.CB)
		}},
		{"log in", true, http.StatusSeeOther, func() harness.Answer {
			return e.Browser().Post("/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}})
		}},
		{"log-in page", true, http.StatusOK, func() harness.Answer { return e.Browser().Get("/login") }},
		{"sign-up page", true, http.StatusOK, func() harness.Answer { return e.Browser().Get("/signup") }},
		{"rename", true, http.StatusSeeOther, func() harness.Answer { return b.Post("/account", url.Values{"name": {"Ursula"}}) }},
		{"create an app", true, http.StatusSeeOther, func() harness.Answer { return b.Post("/developer/apps", newApp) }},
		get("/account"), get("/account/apps"), get("/account/security"), get("/logout"),
		get("/account/keys"), get("/account/keys/new"), get("/account/bots"), get("/account/bots/new"),
		get("/developer/apps"), get("/developer/apps/new"), get(app), get(app + "/edit"), get(app + "/delete"),
	}
}

// programsOnce are the asks of the other two token systems that use something up.
func (s *scene) programsOnce() []ask {
	e, b := s.r, s.b
	first, second := e.UserTokens(e.U), e.UserTokens(e.U)
	return []ask{
		{"refresh a user token by GET", false, http.StatusOK, func() harness.Answer { return e.RefreshByGet(first.Token, first.Refresh) }},
		{"refresh a user token by POST", false, http.StatusOK, func() harness.Answer { return e.RefreshByPost(second.Refresh, e.U.Email) }},
		{"create a key", true, http.StatusSeeOther, func() harness.Answer {
			return b.Post("/account/keys", url.Values{"name": {"New"}, "kind": {"token"}, "scopes": {"agent"}})
		}},
		{"create a bot", true, http.StatusSeeOther, func() harness.Answer { return b.Post("/account/bots", url.Values{"name": {"New"}}) }},
	}
}

// programsAlways are those that can be repeated.
func (s *scene) programsAlways() []ask {
	e := s.r
	key, bot, scoped := e.AddKey(e.U.Account.ID, ""), e.AddBot(e.U.Account.ID, "Robbie"), e.AddKey(e.U.Account.ID, "", "agent")
	user, integration := e.UserTokens(e.U).Token, e.Integrate(harness.Keys(key, bot)).WantIntegration(s.t)
	live := func(name, token string) ask {
		return ask{"me, " + name, false, http.StatusOK, func() harness.Answer { return e.Me(token) }}
	}
	return []ask{
		{"user token", false, http.StatusOK, func() harness.Answer { return e.LogInProgram(e.U.Email, harness.Password) }},
		{"user token of a bot", false, http.StatusOK, func() harness.Answer { return e.LogInProgram(bot.Email, bot.Secret) }},
		{integrating, false, http.StatusOK, func() harness.Answer { return e.Integrate(harness.Keys(key)) }},
		{integrating + " for a bot", false, http.StatusOK, func() harness.Answer { return e.Integrate(harness.Keys(key, bot)) }},
		{integrating + " at a bot's address", false, http.StatusOK, func() harness.Answer {
			return e.IntegrateAt("/bots/"+bot.ID+"/authorization/integration", harness.Keys(key, bot))
		}},
		{"forward-auth", false, http.StatusOK, func() harness.Answer { return e.Verify(s.token, "scope=contacts") }},
		{"key set", false, http.StatusOK, func() harness.Answer { return harness.Fetch(s.t, http.MethodGet, e.URL+"/.well-known/jwks.json", nil) }},
		live("user token", user), live("API key", scoped.Text), live("integration token", integration),
		{"GET the bot", true, http.StatusOK, func() harness.Answer { return s.b.Get("/account/bots/" + bot.ID) }},
	}
}

// integrating is the prefix of the names of requests that are answered in the form of the integration endpoint.
const integrating = "integration token"

// judge returns the fault of an answer, "" for none, and whether it was a success. An answer that a client is unknown, logged out or
// refused, because the database was unavailable, is a fault.
func (s *scene) judge(a ask, answer harness.Answer, took time.Duration) (fault string, worked bool) {
	retry := answer.Header.Get("Retry-After")
	location := answer.Header.Get("Location")
	switch {
	case took > mostWait:
		fault = fmt.Sprintf("took %v", took)
	case answer.Status == http.StatusServiceUnavailable && retry == "":
		fault = "503 without Retry-After"
	case answer.Status == http.StatusServiceUnavailable && a.page && !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html"):
		fault = "503, but not a page"
	case answer.Status == http.StatusServiceUnavailable && !a.page && !strings.Contains(answer.Body, s.refusal(a)):
		fault = "503 without " + s.refusal(a)
	case answer.Status == http.StatusServiceUnavailable:
	case answer.Status != a.want:
		fault = "neither success nor 503"
	case strings.HasPrefix(location, "/login") && a.name != "authorize, logged out", strings.Contains(location, "error="):
		fault = "a redirect to " + location
	case a.name == "introspect" && !strings.Contains(answer.Body, `"active":true`):
		fault = "a live token is not active"
	default:
		worked = true
	}
	if fault != "" {
		fault = fmt.Sprintf("%s: %s: %d %.200s", a.name, fault, answer.Status, answer.Body)
	}
	return fault, worked
}

// refusal is what the body of a 503 for a program holds.
func (s *scene) refusal(a ask) string {
	if strings.HasPrefix(a.name, integrating) {
		return `{"message":`
	}
	return `"temporarily_unavailable"`
}

// try asks everything at the same moment and returns how many were told to come back.
func (s *scene) try(asks []ask) (refused int64) {
	s.t.Helper()
	var count atomic.Int64
	var all sync.WaitGroup
	for _, a := range asks {
		all.Go(func() {
			start := time.Now()
			answer := a.do()
			fault, worked := s.judge(a, answer, time.Since(start))
			if fault != "" {
				s.t.Error(fault)
			}
			if fault == "" && !worked {
				count.Add(1)
			}
		})
	}
	all.Wait()
	return count.Load()
}

// recovers waits until everything that can be repeated works, which must not take long.
func (s *scene) recovers() {
	s.t.Helper()
	start := time.Now()
	for s.try(s.always) > 0 {
		if time.Since(start) > mostRecovery {
			s.t.Fatalf("after %v the server still says that the database is gone", time.Since(start))
		}
	}
	s.t.Logf("recovered within %v", time.Since(start).Round(time.Millisecond))
	for _, token := range append(s.acked, s.token, s.expiring) {
		s.r.WantLive(token, true)
	}
}
