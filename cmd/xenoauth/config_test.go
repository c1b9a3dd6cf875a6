package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// loaded returns the settings of serve for a command line, environment and file.
func loaded(t *testing.T, env map[string]string, args ...string) *settings {
	t.Helper()
	p := &program{lookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }, environ: line{env: env}.environ}
	serve, rest, err := p.root().Find([]string{"serve"})
	if err != nil || len(rest) > 0 {
		t.Fatal("there is no serve command")
	}
	if err := serve.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return p.load(serve)
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSettingPrecedence(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "xenoauth.conf", "# comment\n\nlisten = 127.0.0.1:3\nXENOAUTH_CODE_LIFETIME=3m\nlog_level = \"warn\"\nops-listen = off\n")
	env := map[string]string{"XENOAUTH_CONFIG": file, "XENOAUTH_LISTEN": "127.0.0.1:2", "XENOAUTH_CODE_LIFETIME": "2m", "XENOAUTH_SIGNUP": ""}
	s := loaded(t, env, "--listen", "127.0.0.1:1")
	for name, want := range map[string]string{
		"listen":        "127.0.0.1:1",        // flag over environment and file
		"code-lifetime": "2m",                 // environment over file
		"log-level":     "warn",               // file over default
		"ops-listen":    "off",                //
		"signup":        "open",               // empty environment is absent
		"database-url":  "sqlite:xenoauth.db", // default
	} {
		if got := s.text(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if err := s.err(); err != nil {
		t.Error(err)
	}
}

func TestSettingFromSecretFile(t *testing.T) {
	t.Parallel()
	secret := writeFile(t, "url", "postgres://u:p@h/d\n")
	if s := loaded(t, map[string]string{"XENOAUTH_DATABASE_URL_FILE": secret}); s.text("database-url") != "postgres://u:p@h/d" || s.err() != nil {
		t.Errorf("from a file: %q, %v", s.text("database-url"), s.err())
	}
	config := writeFile(t, "xenoauth.conf", "database-url-file = "+secret+"\n")
	if s := loaded(t, nil, "--config", config); s.text("database-url") != "postgres://u:p@h/d" || s.err() != nil {
		t.Errorf("from a file that a file names: %q, %v", s.text("database-url"), s.err())
	}
	for name, env := range map[string]map[string]string{
		"both":    {"XENOAUTH_DATABASE_URL_FILE": secret, "XENOAUTH_DATABASE_URL": "sqlite:x"},
		"missing": {"XENOAUTH_DATABASE_URL_FILE": secret + ".none"},
		"empty":   {"XENOAUTH_DATABASE_URL_FILE": writeFile(t, "empty", "\n")},
	} {
		r := line{env: env}.run(t, "serve")
		if r.code != exitUsage || !strings.Contains(r.stderr, "invalid setting: XENOAUTH_DATABASE_URL") || !strings.Contains(r.stderr, "XENOAUTH_DATABASE_URL_FILE") {
			t.Errorf("%s: exit %d, %q; want one fault that names XENOAUTH_DATABASE_URL_FILE", name, r.code, r.stderr)
		}
	}
}

// TestUnreadSharedSecret: a secret that cannot be read is not also reported as missing.
func TestUnreadSharedSecret(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "none"), "empty": writeFile(t, "empty", "")} {
		s := loaded(t, map[string]string{"XENOAUTH_USER_TOKEN_SECRET_FILE": path}, "--user-token-alg", "HS256")
		if s.userTokens(); len(s.faults) != 1 {
			t.Errorf("%s: %q, want one fault", name, s.faults)
		}
	}
}

// TestAllFaultsAtOnce: one run reports every invalid setting and its source, and no secret.
func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	config := writeFile(t, "xenoauth.conf", "lissten = x\nnonsense\nsignup = maybe\nsignup = open\nconfig = other\n")
	catalogue := writeFile(t, "scopes.json", `{"scopes": [`)
	env := map[string]string{
		"XENOAUTH_DATABASE_URL":    "postgres://user:hunter2 %zz@host/db",
		"XENOAUTH_TRUSTED_PROXIES": "10.0.0.0/8, somewhere",
		"XENOAUTH_TOKEN_PREFIX":    "X1",
	}
	r := line{env: env}.run(t, "serve", "--config", config, "--listen", "nowhere", "--ops-listen", "host", "--issuer", "http://auth.example/x",
		"--code-lifetime", "11m", "--token-limit", "-1", "--migrate", "perhaps", "--default-plan", "gold", "--scopes", catalogue,
		"--log-level", "loud", "--log-format", "xml")
	if r.code != exitUsage {
		t.Errorf("exit %d, want %d", r.code, exitUsage)
	}
	for _, want := range []string{
		"invalid settings", `line 1: there is no setting "lissten"`, "line 2: not a setting", "signup (from signup in ", "line 4: signup is set twice",
		`line 5: there is no setting "config"`, "database-url (from XENOAUTH_DATABASE_URL): the Postgres URL is malformed",
		"trusted-proxies (from XENOAUTH_TRUSTED_PROXIES): invalid network \"somewhere\"", "token-prefix (from XENOAUTH_TOKEN_PREFIX)", "listen (from --listen): invalid address \"nowhere\"",
		"ops-listen (from --ops-listen): invalid address \"host\"", "issuer (from --issuer)", "code-lifetime (from --code-lifetime): invalid duration \"11m\"", "token-limit (from --token-limit)",
		"migrate (from --migrate): invalid value \"perhaps\"", "default-plan (from --default-plan)", "scopes (from --scopes)", "log-level (from --log-level)", "log-format (from --log-format)",
	} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("no %q in\n%s", want, r.stderr)
		}
	}
	if strings.Contains(r.stderr, "hunter2") {
		t.Errorf("the password is shown:\n%s", r.stderr)
	}
}

func TestMissingConfigFile(t *testing.T) {
	t.Parallel()
	line{}.fails(t, exitUsage, "config (from --config): cannot read the file", "user", "list", "--config", filepath.Join(t.TempDir(), "none"))
}

func TestIssuer(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://auth.example.com": true, "https://auth.example.com:8443": true, "http://localhost:8080": true, "http://127.0.0.1": true, "http://[::1]:8080": true,
		"https://auth.example.com/": false, "https://auth.example.com/x": false, "https://auth.example.com?x": false, "https://u@auth.example.com": false,
		"https://auth.example.com:443": false, "https://auth.example.com:99999": false, "https://auth.example.com:0": false, "http://localhost:80": false, "https://AUTH.example.com": false, "http://auth.example.com": false,
		"auth.example.com": false, "ftp://auth.example.com": false, "https://": false, "https://auth.example.com#": false,
	} {
		if err := checkIssuer(text); (err == nil) != good {
			t.Errorf("checkIssuer(%q) = %v", text, err)
		}
	}
	for listen, required := range map[string]bool{"127.0.0.1:8080": false, "localhost:0": false, "[::1]:8080": false, ":8080": true, "0.0.0.0:8080": true, "10.0.0.1:80": true, "auth.example:80": true} {
		s := loaded(t, nil, "--listen", listen)
		host, port := s.address("listen")
		s.issuer(host, port)
		if err := s.err(); (err != nil) != required {
			t.Errorf("listen %s without an issuer: %v", listen, err)
		}
	}
}

// TestSettingFaults: each invalid value is reported once, with the fix and without a password.
func TestSettingFaults(t *testing.T) {
	t.Parallel()
	const postgres = "--database-url=postgres://u:hunter2@127.0.0.1:1/d"
	for arg, want := range map[string]string{
		"--issuer=https://bücher.example":                                 `browsers send it as xn--…: write https://xn--bcher-kva.example`,
		"--issuer=https://BÜCHER.example:8443":                            `write https://xn--bcher-kva.example:8443`,
		"--issuer=https://-ü-.example":                                    "nor a valid internationalised name",
		"--issuer=https://auth.example:99999":                             "the port must be a number from 1 to 65535",
		"--code-lifetime=60":                                              "want 1s to 10m, for example 1m30s",
		"--retention-grace=1m":                                            "want 10m to 8760h, for example 10m",
		"--key-rotation=1x":                                               "want at least 48h, for example 400d or 48h",
		"--key-rotation=0":                                                "keys must rotate",
		"--token-prefix=XNO":                                              `): credential prefix "XNO"`,
		postgres + "?sslmode=requires":                                    "sslmode in the Postgres URL must be disable, allow, prefer, require, verify-ca or verify-full",
		postgres + "?pool_max_conns=abc":                                  "pool_max_conns in the Postgres URL must be a whole number of connections, 1 or more",
		postgres + "?pool_max_conns=0":                                    "pool_max_conns in the Postgres URL must be a whole number of connections, 1 or more",
		postgres + "?pool_max_conn_lifetime=1y":                           "pool_max_conn_lifetime in the Postgres URL must be a time, such as 30m",
		postgres + "?connect_timeout=soon":                                "invalid connect_timeout",
		postgres + "?target_session_attrs=rw":                             "unknown target_session_attrs value: rw",
		postgres + "?sslmode=verify-full&sslrootcert=/none":               "open /none: no such file",
		postgres + "?default_query_exec_mode=simple_protocol":             "simple_protocol is not supported",
		"--database-url=postgres://u:hunter2@127.0.0.1:99999/d":           "the port in the Postgres URL must be a number from 1 to 65535",
		"--database-url=postgres://u:hunter2@127.0.0.1:5432x/d":           "the port in the Postgres URL is not a number",
		"--database-url=postgres://u:/hunter2@127.0.0.1/d":                "percent-encode",
		"--database-url=postgres://u:12/hunter2@127.0.0.1/d":              "percent-encode",
		"--database-url=postgres://u:12?hunter2@127.0.0.1/d":              "percent-encode",
		"--database-url=postgres://u:12#hunter2@127.0.0.1/d":              "percent-encode",
		"--database-url=postgres://u:hunter2 %zz@127.0.0.1/d":             "percent-encode special characters in the password",
		"--database-url=mysql://u:hunter2@127.0.0.1/d":                    "use sqlite:PATH or postgres://USER@HOST/DATABASE",
		"--database-url=host=127.0.0.1 user=u password=hunter2 dbname=db": "use sqlite:PATH or postgres://USER@HOST/DATABASE",
	} {
		t.Run(arg, func(t *testing.T) {
			t.Parallel()
			r := line{env: map[string]string{"XENOAUTH_DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "none", "x.db")}}.run(t, "serve", arg)
			if r.code != exitUsage || !strings.Contains(r.stderr, "invalid setting: ") || !strings.Contains(r.stderr, want) {
				t.Errorf("exit %d, %q; want one fault that says %q", r.code, r.stderr, want)
			}
			if strings.Contains(r.stderr, "hunter2") {
				t.Errorf("the password is shown: %s", r.stderr)
			}
		})
	}
}

func TestDatabaseName(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"sqlite:xenoauth.db":                                    "sqlite:xenoauth.db",
		"postgres://u:hunter2@h:5432/d?sslmode=disable":         "postgres://u@h:5432/d",
		"postgres://h/d?user=u&password=hunter2":                "postgres://h/d",
		"postgresql:///d?host=/var/run/postgresql&password=abc": "postgresql:///d",
		"postgres://u:hun%zzter2@h/d":                           "postgres",
	} {
		if got := databaseName(address); got != want {
			t.Errorf("databaseName(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	s := loaded(t, nil, "--trusted-proxies", "10.1.2.3/8, 192.0.2.1,,2001:db8::/32")
	got := s.proxies()
	if s.err() != nil || len(got) != 3 || got[0].String() != "10.0.0.0/8" || got[1].String() != "192.0.2.1/32" || got[2].String() != "2001:db8::/32" {
		t.Errorf("proxies %v, %v", got, s.err())
	}
}

// TestVerifyIgnore: the parameters of forward-auth cannot be ignored, because that would disable checks.
func TestVerifyIgnore(t *testing.T) {
	t.Parallel()
	s := loaded(t, nil, "--verify-ignore", "original, uri,,x")
	if got := s.verifyIgnore(); s.err() != nil || !slices.Equal(got, []string{"original", "uri", "x"}) {
		t.Errorf("ignored names %q, %v", got, s.err())
	}
	for _, name := range []string{"scope", "permission", "owner", "bot", "aud"} {
		s := loaded(t, nil, "--verify-ignore", "original,"+name)
		if s.verifyIgnore(); s.err() == nil || !strings.Contains(s.err().Error(), `verify-ignore (from --verify-ignore): "`+name+`" is a parameter of /oauth/verify`) {
			t.Errorf("%s: %v", name, s.err())
		}
	}
}

func TestOldUntil(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for text, want := range map[string]time.Time{"keep": {}, "now": now, "24h": now.Add(24 * time.Hour), "90m": now.Add(90 * time.Minute)} {
		end, err := parseOldUntil(text)
		if got := end.after(now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "never", "-1h", "0s", "24"} {
		if _, err := parseOldUntil(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// TestSettingsAreDocumented: every setting is a flag of some command, with help.
func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	p := &program{}
	flags := map[string]bool{}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, d := range definitions() {
			if f := cmd.Flag(d.name); f != nil && f.Usage != "" {
				flags[d.name] = true
			}
		}
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(p.root())
	for _, d := range definitions() {
		if !flags[d.name] {
			t.Errorf("the setting %s belongs to no command", d.name)
		}
	}
}
