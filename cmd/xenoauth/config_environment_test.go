package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestUnknownVariables: every command that reads settings refuses unknown variables before it opens or creates a database, and
// names all of them with the nearest setting of each.
func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"XENOAUTH_DATABSE_URL":       "did you mean XENOAUTH_DATABASE_URL?",
		"XENOAUTH_DATABASE_URL_FIEL": "did you mean XENOAUTH_DATABASE_URL_FILE?",
		"XENOAUTH_DATABSE_URL_FILE":  "did you mean XENOAUTH_DATABASE_URL_FILE?",
		"XENOAUTH_DB_URL":            "did you mean XENOAUTH_DATABASE_URL?",
		"XENOAUTH_SINGUP":            "did you mean XENOAUTH_SIGNUP?",
		"XENOAUTH_ISSUER_URL":        "did you mean XENOAUTH_ISSUER?",
		"XENOAUTH_listen":            "did you mean XENOAUTH_LISTEN?",
		"XENOAUTH_OPS-LISTEN":        "did you mean XENOAUTH_OPS_LISTEN?",
		"XENOAUTH_LISTEN_FILE":       "only a secret may be given as a file, so set XENOAUTH_LISTEN itself",
		"XENOAUTH_PORT":              "there is no such setting",
		"XENOAUTH_SERVICE":           "there is no such setting",
		"XENOAUTH_":                  "there is no such setting",
		"XENOAUTH_FROBNICATE":        `"xenoauth serve --help" lists the settings`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "none.db")
			l := line{env: map[string]string{name: "8080", "XENOAUTH_DATABASE_URL": "sqlite:" + path}}
			for _, args := range []string{"serve", "doctor", "user list", "migrate up", "migrate status", "demo --check", "health", "app list"} {
				l.fails(t, exitUsage, name+": there is no such setting", strings.Fields(args)...)
			}
			l.fails(t, exitUsage, want, "serve")
			if found, err := filepath.Glob(path + "*"); err != nil || len(found) > 0 {
				t.Errorf("%v was made, %v", found, err)
			}
		})
	}
	all := line{env: map[string]string{"XENOAUTH_LISSEN": "x", "XENOAUTH_ISUER": "", "XENOAUTH_SIGNUP": "perhaps"}}
	for _, want := range []string{"3 invalid settings", "XENOAUTH_LISSEN: ", "XENOAUTH_ISUER: ", "signup (from XENOAUTH_SIGNUP)"} {
		all.fails(t, exitUsage, want, "serve")
	}
	all.ok(t, nil, "version") // reads no settings
	all.ok(t, nil, "serve", "--help")
}

// TestForeignVariables: the variables that Kubernetes sets for a Service, and those of this repository's tests, are accepted.
func TestForeignVariables(t *testing.T) {
	t.Parallel()
	s := loaded(t, map[string]string{
		"XENOAUTH_SERVICE_HOST": "10.0.0.1", "XENOAUTH_SERVICE_PORT": "8080", "XENOAUTH_SERVICE_PORT_HTTP": "8080",
		"XENOAUTH_PORT": "tcp://10.0.0.1:8080", "XENOAUTH_PORT_8080_TCP": "tcp://10.0.0.1:8080", "XENOAUTH_PORT_8080_TCP_PROTO": "tcp",
		"XENOAUTH_PORT_8080_TCP_PORT": "8080", "XENOAUTH_PORT_8080_TCP_ADDR": "10.0.0.1",
		"XENOAUTH_OPS_SERVICE_HOST": "10.0.0.2", "XENOAUTH_OPS_SERVICE_PORT": "9090", "XENOAUTH_OPS_PORT": "tcp://10.0.0.2:9090",
		"XENOAUTH_OPS_PORT_9090_TCP_ADDR": "10.0.0.2",
		"XENOAUTH_REQUIRE_ALL":            "1", "XENOAUTH_SCREENSHOTS": "/tmp", "XENO_X": "1", "HOME": "/",
	})
	if err := s.err(); err != nil {
		t.Error(err)
	}
}

// TestUnknownLines: an unknown line of the settings file is refused with the nearest setting.
func TestUnknownLines(t *testing.T) {
	t.Parallel()
	config := writeFile(t, "xenoauth.conf", "databse-url = x\nXENOAUTH_SINGUP = open\nlisten-file = /x\nuser-token-secret-fil = /x\nconfig = x\n")
	for _, want := range []string{
		`line 1: there is no setting "databse-url"; did you mean database-url?`, `line 2: there is no setting "singup"; did you mean signup?`,
		`line 3: there is no setting "listen-file": only a secret may be given as a file, so set listen itself`,
		`line 4: there is no setting "user-token-secret-fil"; did you mean user-token-secret-file?`, `line 5: there is no setting "config"`,
	} {
		line{}.fails(t, exitUsage, want, "serve", "--config", config)
	}
}
