package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// definition is a setting: a flag that can also be set by the environment or the settings file.
type definition struct {
	name   string
	value  string // the default
	usage  string
	secret bool // can also be read from a file, XENOAUTH_A_B_FILE
	toggle bool // true or false; the flag alone means true
}

// definitions are the settings of all commands. The settings file may contain any of them.
func definitions() []definition {
	return []definition{
		{name: "config", usage: "`FILE` with settings, one per line: a-b = value"},
		{name: "database-url", value: "sqlite:xenoauth.db", usage: "sqlite:PATH or postgres://USER@HOST/DATABASE", secret: true},
		{name: "pooler", value: "none", usage: "transaction, if PgBouncer in transaction mode is in front of Postgres; otherwise none"},
		{name: "scopes", usage: "`FILE` with the catalogue of scopes, or builtin (default: the one in force, which serve stores in the database)"},
		{name: "token-prefix", value: "xno", usage: "prefixes of credentials, separated by commas; new credentials get the first, and all are accepted"},
		{name: "api-plans", value: "standard", usage: "plans whose accounts may use API keys and integration tokens, separated by commas; free is not allowed"},
		{name: "database-wait", value: "30s", usage: "how long serve waits at start-up for a Postgres that does not answer; 0s for no wait"},
		{name: "listen", value: "127.0.0.1:8080", usage: "`HOST:PORT` to serve on; a loopback host means 127.0.0.1 and ::1, and port 0 any free port"},
		{name: "issuer", usage: "the server's public `URL`, https://HOST[:PORT] (default http://localhost:PORT if only this machine can connect)"},
		{name: "ops-listen", value: "127.0.0.1:9090", usage: "`HOST:PORT` for health and metrics; off for none"},
		{name: "migrate", value: "auto", usage: "auto migrates the database at start-up; off refuses to start while migrations are pending"},
		{name: "signup", value: "open", usage: "open: any visitor can sign up; closed: only \"xenoauth user add\" adds users"},
		{name: "default-plan", value: "standard", usage: "plan of new accounts: standard, free or one of --api-plans"},
		{name: "code-lifetime", value: "60s", usage: "lifetime of an authorization code, up to 10m"},
		{name: "token-limit", value: "0", usage: "maximum number of non-expiring tokens of an installation; another one revokes the oldest; 0 for no limit"},
		{name: "user-token-alg", value: "ES256", usage: "ES256, with published public keys, or HS256 for older verifiers that share the secret"},
		{name: "user-token-secret", usage: "secret of HS256, 32 bytes or more; prefer XENOAUTH_USER_TOKEN_SECRET_FILE", secret: true},
		{name: "user-token-max-age", value: "90d", usage: "how long a program can refresh its user tokens before it must log in again"},
		{name: "key-rotation", value: "30d", usage: "how long a key signs user tokens, 48h or more"},
		{name: "trusted-proxies", usage: "networks whose X-Forwarded-For header is trusted, separated by commas, such as 10.0.0.0/8"},
		{name: "verify-ignore", usage: "query parameters that /oauth/verify ignores, separated by commas; other unknown parameters are refused"},
		{name: "login-failures", value: "10", usage: "wrong passwords for one account from one client address in 15 minutes; a known browser of the account is counted separately"},
		{name: "account-failures", value: "100", usage: "wrong passwords for one account from all addresses in 24 hours; then the account is locked, except for its known browsers, until the 24 hours are over or \"xenoauth user unlock\""},
		{name: "ip-failures", value: "100", usage: "wrong passwords, and failed sign-ups, from one client address in 15 minutes"},
		{name: "ip-signups", value: "1000", usage: "sign-ups from one client address in 24 hours"},
		{name: "client-failures", value: "300", usage: "unknown clients, secrets, codes and refresh tokens from one client address in a minute"},
		{name: "ip-requests", value: "1000", usage: "authorization requests from one client address that wait for a log-in; another one discards the oldest"},
		{name: "max-apps", value: "100", usage: "maximum number of apps of an account; the operator can add more"},
		{name: "max-sessions", value: "50", usage: "maximum number of sessions of a user; another one ends the least recently used"},
		{name: "user-changes", value: "600", usage: "changes by one user in an hour (log-ins, approvals, apps, secrets, keys, names); the same number of codes without a page, and ten times as many log-ins by programs"},
		{name: "max-connections", value: "4096", usage: "maximum number of open connections; another one closes an idle connection of the network that has the most"},
		{name: "audit-retention", value: "400d", usage: "retention of audit events, such as 400d or 48h; 0 for no limit"},
		{name: "retention-grace", value: "1h", usage: "retention of expired codes, sessions and tokens, 10m or more"},
		{name: "drain", usage: "how long new requests are answered after the signal to stop, while /readyz fails, up to 5m (default 3s, or 0 if only this machine can connect)"},
		{name: "high-water", usage: "`FILE` outside the database that records its newest change, to detect a restored database (default: beside a SQLite file)"},
		{name: "accept-restored-database", value: "false", toggle: true, usage: "serve a database that seems to have been restored; for a single start"},
		{name: "allow-unsafe-database", value: "false", toggle: true, usage: "serve a database that can lose acknowledged writes"},
		{name: "log-level", value: "info", usage: "debug, info, warn or error"},
		{name: "log-format", value: "text", usage: "text or json"},
	}
}

// define adds the named settings as flags.
func (p *program) define(flags *pflag.FlagSet, names ...string) {
	for _, d := range definitions() {
		if slices.Contains(names, d.name) {
			flags.String(d.name, d.value, d.usage)
			if d.toggle {
				flags.Lookup(d.name).NoOptDefVal = "true"
			}
		}
	}
}

// value is the value of a setting and its source.
type value struct {
	text   string
	source string // such as "--listen", "XENOAUTH_LISTEN" or "listen in xenoauth.conf, line 3"
	unread bool   // its file could not be read, which is recorded as a fault
}

// settings are the settings of one command. Faults are collected, and err reports all of them together.
type settings struct {
	values map[string]value
	faults []string
}

// load reads the settings that the command has flags for. Flags take precedence over the environment, the settings file and the
// default, in this order.
func (p *program) load(cmd *cobra.Command) *settings {
	s := &settings{values: map[string]value{}}
	known := definitions()
	p.checkEnvironment(s, known)
	fromFile := map[string]value{}
	for i, d := range known {
		flag := cmd.Flags().Lookup(d.name)
		if flag == nil {
			continue
		}
		v, found := p.fromEnvironment(s, d)
		switch {
		case flag.Changed:
			v = value{text: flag.Value.String(), source: "--" + d.name}
		case found:
		default:
			if v, found = fromFile[d.name]; !found {
				v = value{text: d.value, source: "the default"}
			}
		}
		s.values[d.name] = v
		if i == 0 && v.text != "" { // config comes first, because it names the file for the others
			fromFile = s.readFile(v, known)
		}
	}
	return s
}

// fromEnvironment reads XENOAUTH_A_B or, for a secret, the file that XENOAUTH_A_B_FILE names. An empty variable counts as absent,
// because compose files pass variables that are not set.
func (p *program) fromEnvironment(s *settings, d definition) (value, bool) {
	name := variableName(d.name)
	text, _ := p.lookupEnv(name)
	v := value{text: text, source: name}
	if !d.secret {
		return v, text != ""
	}
	path, _ := p.lookupEnv(name + "_FILE")
	switch {
	case path == "":
		return v, text != ""
	case text != "":
		s.faults = append(s.faults, fmt.Sprintf("%s and %s_FILE are both set: unset one of them", name, name))
		return v, true
	}
	return s.readSecret(path, name+"_FILE")
}

// readSecret reads a file with one value, as container platforms mount secrets.
func (s *settings) readSecret(path, source string) (value, bool) {
	content, err := os.ReadFile(path)
	text := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		s.faults = append(s.faults, fmt.Sprintf("%s: cannot read the file: %v", source, err))
	case text == "":
		s.faults = append(s.faults, fmt.Sprintf("%s: the file %s is empty", source, path))
	}
	return value{text: text, source: source, unread: text == ""}, true
}

// readFile reads the settings file. Names may be written a-b, A_B or XENOAUTH_A_B; a secret a-b also as a-b-file.
func (s *settings) readFile(config value, known []definition) map[string]value {
	found := map[string]value{}
	file, err := os.Open(config.text)
	if err != nil {
		s.faults = append(s.faults, fmt.Sprintf("config (from %s): cannot read the file: %v", config.source, err))
		return found
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		place := fmt.Sprintf("%s, line %d", config.text, number)
		key, text, ok := strings.Cut(line, "=")
		if !ok {
			s.faults = append(s.faults, place+`: not a setting; write a-b = value, or begin with # for a comment`)
			continue
		}
		key = strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(strings.TrimSpace(key), "_", "-")), "xenoauth-")
		s.parseKeep(found, known, key, unquote(strings.TrimSpace(text)), place)
	}
	if err := lines.Err(); err != nil {
		s.faults = append(s.faults, fmt.Sprintf("config (from %s): cannot read %s: %v", config.source, config.text, err))
	}
	return found
}

// parseKeep parses one line of the settings file and stores its value.
func (s *settings) parseKeep(found map[string]value, known []definition, key, text, place string) {
	v := value{text: text, source: fmt.Sprintf("%s in %s", key, place)}
	index := slices.IndexFunc(known, func(d definition) bool {
		return d.name == key || d.secret && d.name+"-file" == key
	})
	if index <= 0 { // a settings file cannot include another
		var names []string
		for _, d := range known[1:] {
			names = append(names, d.name)
			if d.secret {
				names = append(names, d.name+"-file")
			}
		}
		s.faults = append(s.faults, fmt.Sprintf("%s: there is no setting %q%s", place, key, hint(key, names)))
		return
	}
	name := known[index].name
	if _, twice := found[name]; twice {
		s.faults = append(s.faults, fmt.Sprintf("%s: %s is set twice; take one out", place, name))
		return
	}
	if key != name {
		v, _ = s.readSecret(text, v.source)
	}
	found[name] = v
}

// unquote removes one pair of quotation marks, which many users write around values.
func unquote(text string) string {
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		return text[1 : n-1]
	}
	return text
}

// text returns the setting as it was given.
func (s *settings) text(name string) string { return s.values[name].text }

// fault records that a setting is invalid, with the reason and the fix. It never contains the value of a secret; the sentence may
// quote other values. A setting that could not be read already has a fault.
func (s *settings) fault(name, format string, args ...any) {
	if s.values[name].unread {
		return
	}
	fault := fmt.Sprintf("%s (from %s): %s", name, s.values[name].source, fmt.Sprintf(format, args...))
	if !slices.Contains(s.faults, fault) { // a setting may be read twice
		s.faults = append(s.faults, fault)
	}
}

// err returns all faults as one usage error, or nil.
func (s *settings) err() error {
	switch len(s.faults) {
	case 0:
		return nil
	case 1:
		return usageErrorf("invalid setting: %s", s.faults[0])
	}
	return usageErrorf("%d invalid settings:\n  %s", len(s.faults), strings.Join(s.faults, "\n  "))
}
