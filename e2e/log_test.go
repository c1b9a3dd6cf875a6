package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/server"
	"xenoauth/store"
)

// eachStory tells the story over each database; statements gives Postgres's own log of it, with all parameters.
func eachStory(t *testing.T, test func(t *testing.T, s *story, statements string)) {
	t.Helper()
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, databaseURL string) {
		statements := func() string { return "" }
		if strings.HasPrefix(databaseURL, "postgres:") {
			statements = harness.LogStatements(t, databaseURL)
		}
		test(t, told(t, harness.New(t, dbtest.Open(t, databaseURL))), statements())
	})
}

// TestSecretsNotLogged_G1: sign-up, log-in, registration, rotation, consent, exchange, refresh, replay, revocation, introspection, API
// keys, bots, integration tokens, user tokens and forward-auth, all of them rightly and wrongly, secrets in URLs, paths, headers, cookies and fields where none belongs, and a database that
// goes away, with passwords, codes, tokens, keys, client secrets, verifiers, cookies, request ids and Authorization headers that
// can be recognised (as they are, percent-encoded, in base64, hexadecimal, JSON and HTML). None of them is in the log at
// debug level, in the metrics, in any error page or JSON error, or in Postgres's log with log_statement=all and every
// parameter, which shows all data that the database gets: lookup ids, hashes and sealed answers. A secret that a user typed into
// the wrong field is not in the log either.
func TestSecretsNotLogged_G1(t *testing.T) {
	eachStory(t, func(t *testing.T, s *story, statements string) {
		operations := httptest.NewServer(s.r.Server.Operations())
		defer operations.Close()
		metrics := harness.Fetch(t, http.MethodGet, operations.URL+"/metrics", nil)
		log := s.r.Log.String()
		for name, text := range map[string]struct{ text, proof string }{
			"log":           {log, "msg=request"},
			"metrics":       {metrics.Body, `route="POST /oauth/token"`},
			"refusals":      {s.refused.String(), "invalid_grant"},
			"Postgres' log": {statements, "parameters: $1"},
		} {
			if text.text == "" && name == "Postgres' log" {
				continue // SQLite
			}
			if !strings.Contains(text.text, text.proof) {
				t.Errorf("the %s was not read: no %s in %d bytes", name, text.proof, len(text.text))
			}
			if found := s.secrets.Find(text.text); found != nil {
				t.Errorf("the %s holds %q", name, found)
			}
		}
		for name, text := range map[string]string{"log": log, "metrics": metrics.Body} {
			if found := s.misplaced.Find(text); found != nil {
				t.Errorf("the %s holds %q", name, found)
			}
		}
	})
}

// TestSecretsNotStored_G3: after the same story, every row of every table, and of SQLite the bytes of its files, with what pages
// that are no longer in use still hold: none of the secrets. Credentials are 32-byte hashes, sessions are keyed by one, a
// password is argon2id with a salt of its own.
func TestSecretsNotStored_G3(t *testing.T) {
	eachStory(t, func(t *testing.T, s *story, _ string) {
		e := s.r
		dump := e.Dump()
		for _, proof := range []string{"carla@users.test", "$argon2id$", "app_", "token.issued"} {
			if !strings.Contains(dump, proof) {
				t.Errorf("the database was not read: no %s in %d bytes", proof, len(dump))
			}
		}
		if found := s.secrets.Find(dump); found != nil {
			t.Errorf("the database holds %q", found)
		}
		for _, table := range []string{"client_secrets", "requests", "codes", "tokens", "expiring_tokens", "refresh_tokens", "integration_tokens", "user_refresh_tokens"} {
			if n := e.Count(`SELECT COUNT(*) FROM ` + table); n == 0 {
				t.Errorf("%s is empty: the story is too short", table)
			}
			if n := e.Count(`SELECT COUNT(*) FROM ` + table + ` WHERE length(hash) <> 32 OR hash = id`); n != 0 {
				t.Errorf("%d rows of %s hold no SHA-256", n, table)
			}
		}
		if n := e.Count(`SELECT COUNT(*) FROM user_refresh_tokens WHERE length(token_hash) <> 32 OR token_hash = hash`); n != 0 {
			t.Errorf("%d user tokens are not kept as a SHA-256", n)
		}
		if n := e.Count(`SELECT COUNT(*) FROM sessions WHERE length(id) <> 32`); n != 0 {
			t.Errorf("%d sessions are not keyed by a hash", n)
		}
		seen := map[string]bool{}
		for _, phc := range e.Strings(`SELECT password FROM users WHERE bot = 0`) {
			parts := strings.Split(phc, "$")
			if len(parts) != 6 || parts[1] != "argon2id" || seen[parts[4]] || len(parts[4]) < 22 {
				t.Errorf("a password is kept as %.20s…", phc)
				continue
			}
			seen[parts[4]] = true
		}
	})
}

// forgery wants to be a line of its own, in red, from right to left.
const forgery = "x\r\nlevel=ERROR msg=forged\x1b[31m\u202e\u2028\u0085\a"

// TestLogInjection_G2: line breaks, escape sequences and marks that turn the writing direction stand in names and values of
// parameters, in paths, headers, forms, client ids, passwords, and in what the database says when it fails. In both forms
// of the log, text and JSON, every line is one that the server wrote: it parses, and holds no control character and
// nothing that turns the direction of text.
func TestLogInjection_G2(t *testing.T) {
	t.Parallel()
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, options) },
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, options) },
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, st store.Store) {
				log := &harness.Log{}
				inject(t, harness.New(t, st, func(o *server.Options) { o.Log = slog.New(handler(log)) }))
				wantOwnLines(t, name, log.String())
			})
		})
	}
}

func inject(t *testing.T, e *harness.Env) {
	b, out := e.LoggedIn(e.U), e.Browser()
	evil := url.QueryEscape(forgery)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, path := range mounted(t, method) {
			for _, query := range []string{evil + "=%zz", evil + "=1&" + evil + "=2", "next=" + evil + "&request_id=" + evil + "&client_id=" + evil} {
				for _, visitor := range []*harness.Browser{b, out} {
					visitor.Visit(method, strings.NewReplacer("{$}", "", "{", "", "}", "").Replace(path)+"?"+query, "User-Agent: a\x1b[31m", "Content-Length: 0")
				}
			}
		}
	}
	for _, target := range []string{"/" + evil, "/developer/apps/" + evil, "/%0d%0amsg=forged", "*", "/\u202e", "http://" + "x\u202e/"} {
		b.Visit(http.MethodGet, target)
	}
	b.VisitHost("x\u202e", http.MethodGet, "/")
	for _, method := range []string{"GE\x1bT", "FORGED\u202e", "level=ERROR", strings.Repeat("X", 1000)} {
		b.Visit(method, "/")
		b.Visit(method, "/oauth/token")
	}
	for _, line := range []string{"User-Agent: \u202e\u2028 msg=forged", "X-Forwarded-For: \u202e, 1.2.3.4", "X-Request-Id: \u202e msg=forged", "Accept: \u202e", "Origin: \u202e", "Cookie: xenoauth=\u202e; \u202e=x", "Referer: \u202e"} {
		b.Visit(http.MethodGet, "/", line)
		e.Raw("/login", "email="+evil+"&password="+evil, line)
	}
	for path, form := range map[string]url.Values{
		"/login": {"email": {forgery}, "password": {forgery}}, "/signup": {"email": {forgery}, "name": {forgery}, "password": {forgery}}, "/account": {"name": {forgery}}, "/account ": {forgery: {"1", "2"}},
		"/developer/apps": {"name": {forgery}, "redirect_uris": {forgery}, "scopes": {forgery}, "account": {forgery}}, "/developer/apps/" + e.A.ID + "/edit": {"version": {forgery}, forgery: {forgery}},
		"/developer/apps/" + e.A.ID + "/secrets": {"keep": {forgery}}, "/oauth/consent": {"request_id": {forgery}, "decision": {forgery}},
	} {
		b.Post(strings.TrimSpace(path), form)
	}
	for path := range protected {
		e.Post(path, url.Values{"client_id": {forgery}, "client_secret": {forgery}, "token": {forgery}})
		e.Post(path, url.Values{"token": {"x"}}, "Authorization", harness.Basic(forgery, forgery))
		e.Post(path, e.A.As("token", forgery, "code", forgery, "scope", forgery, "grant_type", ""))
		e.Post(path, url.Values{forgery: {"1", "2"}})
		e.Post(path, e.A.As("grant_type", "client_credentials", "token", "x", "scope", forgery, "resource", forgery))
	}
	e.Faults.Fail(fmt.Errorf("%s: %w", forgery, store.ErrUnavailable), "ClientByID", "AccessByID")
	e.Token(e.A, "code", "x")
	e.Introspect(e.A, "x")
	e.Faults.Heal()
}

func wantOwnLines(t *testing.T, form, log string) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		own := strings.HasPrefix(line, "time=20") && strings.Contains(line, " level=") && strings.Contains(line, " msg=")
		if form == "JSON" {
			own = json.Valid([]byte(line))
		}
		if !own {
			t.Errorf("line %d is not the server's: %.300q", i, line)
		}
		for _, c := range line {
			if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == '\u2028' || c == unicode.ReplacementChar {
				t.Errorf("line %d holds %U: %.300q", i, c, line)
				break
			}
		}
		if strings.HasPrefix(line, "level=ERROR") {
			t.Errorf("line %d is forged", i)
		}
	}
	if !strings.Contains(log, "forged") {
		t.Error("nothing of it was ever logged: the test proves nothing")
	}
}
