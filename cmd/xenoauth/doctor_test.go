package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
	"xenoauth/store/storetest"
)

// checkup is the part of the doctor's JSON that tests read.
type checkup struct {
	Healthy   bool     `json:"healthy"`
	Attention []string `json:"attention"`
	Database  struct {
		Name, Version string
	} `json:"database"`
	Pending []object `json:"pending_migrations"`
	Unsafe  []string `json:"unsafe_settings"`
	Live    struct {
		Apps, Installations, Tokens int64
	} `json:"live"`
	LastEvent *struct {
		Kind string `json:"kind"`
		At   string `json:"at"`
	} `json:"last_event"`
	Tables []struct {
		Table string `json:"table"`
		Bytes int64  `json:"bytes"`
		Day   *int64 `json:"rows_24h"`
	} `json:"tables"`
}

// has reports whether a problem contains the text.
func (c checkup) has(want string) bool {
	return strings.Contains(strings.Join(c.Attention, "\n"), want)
}

// doctor runs the doctor and asserts its exit code.
func doctor(t *testing.T, l line, code int, args ...string) (c checkup) {
	t.Helper()
	r := l.run(t, append([]string{"doctor", "--json"}, args...)...)
	if r.code != code {
		t.Fatalf("doctor: exit %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
		t.Fatalf("%v in\n%s", err, r.stdout)
	}
	if c.Healthy != (code == exitDone) || c.Healthy != (len(c.Attention) == 0) {
		t.Fatalf("exit %d, healthy %t, attention %q", r.code, c.Healthy, c.Attention)
	}
	return c
}

// TestDoctor: the report on a database in use, beside a running server, as text and as JSON.
func TestDoctor(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		st := dbtest.Open(t, database)
		u, a := storetest.NewUser(t, st)
		app, _ := storetest.NewApp(t, st, a.ID, nil)
		ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
		storetest.Redeem(t, st, ins, storetest.TokenGrant(st, ins))
		l, code, kind := on(database), exitDone, "SQLite 3."
		startServing(t, l, "--ops-listen", "off")
		if strings.HasPrefix(database, "postgres") {
			code, kind = exitRefused, "PostgreSQL 1" // the test's Postgres is not durable
		}
		c := doctor(t, l, code)
		if !strings.HasPrefix(c.Database.Version, kind) || c.Database.Name != databaseName(database) || len(c.Pending) != 0 {
			t.Errorf("database %v, pending %v", c.Database, c.Pending)
		}
		if c.Live.Apps != 1 || c.Live.Installations != 1 || c.Live.Tokens != 1 || c.LastEvent == nil || c.LastEvent.Kind == "" {
			t.Errorf("live %v, last event %v", c.Live, c.LastEvent)
		}
		if code == exitRefused && (len(c.Unsafe) != 3 || !c.has("fsync = off: set fsync = on in postgresql.conf") || len(c.Attention) != 3) {
			t.Errorf("unsafe %q, attention %q", c.Unsafe, c.Attention)
		}
		sized := 0
		for _, table := range c.Tables {
			if table.Bytes > 0 {
				sized++
			}
			if table.Table == "tokens" && (table.Day == nil || *table.Day != 1) {
				t.Errorf("tokens of the last day: %v", table.Day)
			}
		}
		if sized != len(c.Tables) || sized < 15 {
			t.Errorf("%d of %d tables have a size", sized, len(c.Tables))
		}
		r := l.run(t, "doctor")
		for _, want := range []string{"TABLE", "audit_events", kind, "1 apps, 1 installations, 1 non-expiring tokens", "up to date", "(built-in)"} {
			if r.code != code || !strings.Contains(r.stdout, want) {
				t.Errorf("exit %d; the report lacks %q:\n%s%s", r.code, want, r.stdout, r.stderr)
			}
		}
	})
}

// TestDoctorFindsBacklog: rows that ended long ago show that no sweep runs; rows that ended minutes ago do not.
func TestDoctorFindsBacklog(t *testing.T) {
	t.Parallel()
	database := dbtest.SQLite(t)
	st := dbtest.Open(t, database)
	u, a := storetest.NewUser(t, st)
	app, _ := storetest.NewApp(t, st, a.ID, nil)
	ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
	for _, c := range []struct {
		ended time.Duration
		code  int
	}{{time.Hour + 5*time.Minute, exitDone}, {3 * time.Hour, exitRefused}} {
		code := storetest.Code(st, ins)
		code.ExpiresAt = st.Now().Add(-c.ended)
		if err := st.CreateCode(t.Context(), code); err != nil {
			t.Fatal(err)
		}
		if got := doctor(t, on(database), c.code); got.has("Rows of codes") != (c.code == exitRefused) {
			t.Errorf("%v: attention %q", c.ended, got.Attention)
		}
	}
	if got := doctor(t, on(database), exitDone, "--retention-grace", "4h"); len(got.Attention) != 0 {
		t.Errorf("within a longer grace: %q", got.Attention)
	}
	// A value that a page has shown has no retention, and is deleted by the next sweep.
	for i, c := range []struct {
		ended time.Duration
		code  int
	}{{time.Minute, exitDone}, {20 * time.Minute, exitRefused}} {
		v := store.PageValue{ID: []byte{byte(i)}, CreatedAt: st.Now().Add(-time.Hour), ExpiresAt: st.Now().Add(-c.ended)}
		if err := st.KeepPageValue(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		if got := doctor(t, on(database), c.code, "--retention-grace", "4h"); got.has("Rows of page_values") != (c.code == exitRefused) {
			t.Errorf("a page's value that ended %v ago: attention %q", c.ended, got.Attention)
		}
	}
}

// TestDoctorOnUnmigrated: a database without tables, and one with pending migrations, are checked as far as possible.
func TestDoctorOnUnmigrated(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := doctor(t, on("sqlite:"+path), exitRefused)
	if !c.has(`run "xenoauth migrate up"`) || len(c.Pending) < 2 {
		t.Errorf("pending %v, attention %q", c.Pending, c.Attention)
	}
	on("sqlite:"+filepath.Join(t.TempDir(), "none.db")).fails(t, exitRefused, "there is no database", "doctor")
	on("postgres://nobody@127.0.0.1:1/none").fails(t, exitRefused, "The database could not be asked", "doctor")
	on("mysql://x").fails(t, exitUsage, "database-url", "doctor")
}

// TestDoctorOnSettings: invalid settings, and valid ones that are probably mistakes.
func TestDoctorOnSettings(t *testing.T) {
	t.Parallel()
	database := dbtest.SQLite(t)
	for name, test := range map[string]struct {
		args string
		want string // "": no problem
	}{
		"defaults":                 {"", ""},
		"a matching issuer":        {"--issuer http://localhost:8080", ""},
		"another port":             {"--issuer http://localhost:9999", "has another port"},
		"http for others":          {"--issuer http://auth.example.com", "http is allowed for localhost only"},
		"loopback for others":      {"--issuer http://localhost:8080 --listen 0.0.0.0:8080", "is for this machine only, but serve also listens on 0.0.0.0"},
		"no issuer":                {"--listen 0.0.0.0:8080", "issuer (from the default): required"},
		"a proxy nobody knows":     {"--issuer https://auth.example.com", "--trusted-proxies is empty"},
		"a proxy":                  {"--issuer https://auth.example.com --trusted-proxies 10.0.0.0/8", ""},
		"all addresses as proxies": {"--trusted-proxies 10.0.0.0/8,0.0.0.0/0", "any client can forge its address"},
		"all addresses as proxies, and an invalid setting": {"--trusted-proxies 0.0.0.0/0 --issuer http://auth.example.com", "any client can forge its address"},
		"metrics for all addresses":                        {"--ops-listen 0.0.0.0:9090", "has no authentication"},
		"metrics for all names":                            {"--ops-listen :9090", "has no authentication"},
		"metrics for this machine":                         {"--ops-listen [::1]:9090", ""},
		"no metrics":                                       {"--ops-listen off", ""},
		"no limit of log-ins":                              {"--login-failures 100000", "--login-failures is 100000"},
		"any database":                                     {"--allow-unsafe-database", "--allow-unsafe-database is set"},
		"a grace that is too short":                        {"--retention-grace 1m", "retention-grace"},
		"two things":                                       {"--code-lifetime 1h --token-limit -1", "token-limit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := exitDone
			if test.want != "" {
				code = exitRefused
			}
			if c := doctor(t, on(database), code, strings.Fields(test.args)...); !c.has(test.want) {
				t.Errorf("attention %q, want %q", c.Attention, test.want)
			}
		})
	}
	t.Run("an open file", func(t *testing.T) {
		t.Parallel()
		database := dbtest.SQLite(t)
		if err := os.Chmod(strings.TrimPrefix(database, "sqlite:"), 0o644); err != nil {
			t.Fatal(err)
		}
		if c := doctor(t, on(database), exitRefused); !c.has("chmod 600") {
			t.Errorf("attention %q", c.Attention)
		}
	})
}

// TestSafeStart: serve refuses a Postgres that can lose acknowledged writes, and names each setting with its fix. A flag overrides
// this, and the demo only warns.
func TestSafeStart(t *testing.T) {
	t.Parallel()
	database := dbtest.Postgres(t)
	serve := []string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"}
	for _, want := range []string{
		"fsync = off: set fsync = on", "full_page_writes = off: set", "synchronous_commit = off: set", "--allow-unsafe-database",
	} {
		on(database).fails(t, exitRefused, want, serve...)
	}
	on(database+"&synchronous_commit=on").fails(t, exitRefused, "fsync = off", serve...)
	on(database).fails(t, exitUsage, "want true or false", append(serve, "--allow-unsafe-database=perhaps")...)
	allowed := on(database)
	allowed.env["XENOAUTH_ALLOW_UNSAFE_DATABASE"] = "true"
	startServing(t, allowed, "--ops-listen", "off")
	r := line{}.ok(t, nil, "demo", "--check", "--database-url", database)
	if !strings.Contains(r.stderr, "can lose acknowledged writes") {
		t.Errorf("the demo does not warn: %s", r.stderr)
	}
}

// TestSafePostgres: serve starts on a Postgres with default settings without a warning.
func TestSafePostgres(t *testing.T) {
	t.Parallel()
	dbtest.Postgres(t) // skips or fails without Postgres
	c, err := dbtest.Start(t.Context(), dbtest.Durable...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	database, err := c.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	startServing(t, on(database), "--ops-listen", "off", "--allow-unsafe-database=false")
	if c := doctor(t, on(database), exitDone); len(c.Unsafe) != 0 {
		t.Errorf("unsafe: %q", c.Unsafe)
	}
	on(database+"&synchronous_commit=off").fails(t, exitRefused, "synchronous_commit = off", "serve", "--listen", "127.0.0.1:0", "--ops-listen", "off")
}

// TestPeriods: retention may be given in days.
func TestPeriods(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"400d": 9600 * time.Hour, "48h": 48 * time.Hour, "0": 0, "0d": 0} {
		s := &settings{values: map[string]value{"audit-retention": {text: text}}}
		if got := s.period("audit-retention", time.Hour); got != want || s.err() != nil {
			t.Errorf("%s: %v, %v", text, got, s.err())
		}
	}
	for _, text := range []string{"", "d", "-1d", "1m", "1y", "99999999d", "4 d"} {
		s := &settings{values: map[string]value{"audit-retention": {text: text}}}
		if got := s.period("audit-retention", time.Hour); s.err() == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
