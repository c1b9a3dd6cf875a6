package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
)

// TestReadOnlyDatabase: Postgres takes no writes any more, as after a failover to a standby. Readiness distinguishes reading from
// writing, tokens are verified, and requests that would change something are answered 503.
func TestReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	databaseURL := dbtest.Postgres(t)
	e := harness.New(t, dbtest.Open(t, databaseURL))
	b := e.LoggedIn(e.U)
	token := e.Grant(b, e.A).WantToken(t)
	name := harness.Database(t, databaseURL)
	set := func(setting string) {
		harness.Superuser(t, strings.Replace(databaseURL, "/"+name+"?", "/postgres?", 1), `ALTER DATABASE `+name+` `+setting,
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+name+`'`)
	}
	ready := func(path string) (int, string) {
		w := httptest.NewRecorder()
		e.Server.Operations().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	set("SET default_transaction_read_only = on")
	until(t, "readyz names the read-only database", func() bool {
		status, body := ready("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "database is read-only")
	})
	if status, body := ready("/readyz/read"); status != http.StatusOK || !strings.Contains(body, "database is read-only") {
		t.Errorf("/readyz/read: %d %s", status, body)
	}
	e.WantLive(token, true)
	revoke := e.Post("/oauth/revoke", e.A.As("token", token))
	revoke.WantError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if revoke.Header.Get("Retry-After") == "" {
		t.Errorf("revoke: no Retry-After in %v", revoke.Header)
	}
	set("RESET default_transaction_read_only")
	until(t, "readyz is well", func() bool { status, _ := ready("/readyz"); return status == http.StatusOK })
	if status, body := ready("/readyz/read"); status != http.StatusOK || body != "ready\n" {
		t.Errorf("/readyz/read: %d %s", status, body)
	}
	if a := e.Post("/oauth/revoke", e.A.As("token", token)); a.Status != http.StatusOK {
		t.Errorf("revoke afterwards: %d %s", a.Status, a.Body)
	}
	e.WantLive(token, false)
}
