package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"

	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store/sqlstore"
)

// oneOf returns a setting that must have one of the listed values.
func (s *settings) oneOf(name string, values ...string) string {
	text := s.text(name)
	if !slices.Contains(values, text) {
		s.fault(name, "invalid value %q (want %s)", text, strings.Join(values, " or "))
	}
	return text
}

// duration returns a setting that is a duration between two limits.
func (s *settings) duration(name string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(s.text(name))
	if err != nil || d < least || d > most {
		s.fault(name, "invalid duration %q (want %s to %s, for example %s)", s.text(name), brief(least), brief(most), brief(min(max(least, 90*time.Second), most)))
	}
	return d
}

const (
	// defaultDrain is longer than the usual interval of readiness checks.
	defaultDrain = 3 * time.Second
	maxDrain     = 5 * time.Minute
)

// drain returns how long the server continues to answer after the signal to stop. The default is 0 if the issuer is an address of
// this machine, because no load balancer can be in front of it.
func (s *settings) drain() time.Duration {
	switch text := s.text("drain"); {
	case text != "":
		return s.duration("drain", 0, maxDrain)
	case strings.HasPrefix(s.text("issuer"), "https://"):
		return defaultDrain
	}
	return 0
}

// brief formats a duration in its short form: 10m, not 10m0s.
func brief(d time.Duration) string {
	text := d.String()
	if d != 0 && strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// period returns a duration that may also be given in days; 0 means none.
func (s *settings) period(name string, least time.Duration) time.Duration {
	const most = 100 * 365 * 24 * time.Hour
	text := s.text(name)
	d, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); found {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(max(min(n, 1_000_000), -1)) * 24 * time.Hour
	}
	if err != nil || d != 0 && d < least || d > most {
		s.fault(name, "invalid duration %q (want at least %s, for example 400d or 48h)", text, brief(least))
	}
	return d
}

// toggled returns a setting that is true or false.
func (s *settings) toggled(name string) bool {
	on, err := strconv.ParseBool(s.text(name))
	if err != nil {
		s.fault(name, "invalid value %q (want true or false)", s.text(name))
	}
	return on
}

// number returns a setting that is an integer between two limits.
func (s *settings) number(name string, least, most int) int {
	n, err := strconv.Atoi(s.text(name))
	if err != nil || n < least || n > most {
		s.fault(name, "invalid number %q (want %d to %d)", s.text(name), least, most)
	}
	return n
}

// databaseURL checks the form of the address. Its value is never shown, because it may contain a password.
func (s *settings) databaseURL() string {
	text := s.text("database-url")
	if path, found := strings.CutPrefix(text, "sqlite:"); found {
		if path == "" {
			s.fault("database-url", "the file name is missing: use for example sqlite:xenoauth.db")
		}
		return s.throughPooler(text)
	}
	if !strings.HasPrefix(text, "postgres:") && !strings.HasPrefix(text, "postgresql:") {
		s.fault("database-url", "use sqlite:PATH or postgres://USER@HOST/DATABASE")
	} else if err := sqlstore.CheckURL(text); err != nil {
		s.fault("database-url", "%v", err)
	}
	return s.throughPooler(text)
}

// databaseName returns a database address without password and parameters, to be shown.
func databaseName(address string) string {
	if strings.HasPrefix(address, "sqlite:") {
		name, _, _ := strings.Cut(address, "?")
		return name
	}
	u, err := url.Parse(address)
	if err != nil {
		return "postgres"
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if name := u.User.Username(); name != "" {
		shown.User = url.User(name)
	}
	return shown.String()
}

// format returns the format of credentials, with its prefixes.
func (s *settings) format() (secret.Format, []string) {
	prefixes := strings.Split(s.text("token-prefix"), ",")
	for i := range prefixes {
		prefixes[i] = strings.TrimSpace(prefixes[i])
	}
	f, err := secret.NewFormat(prefixes...)
	if err != nil {
		s.fault("token-prefix", "%s", strings.ReplaceAll(strings.ReplaceAll(err.Error(), "secret: ", ""), "\n", "; "))
	}
	return f, prefixes
}

// address returns a HOST:PORT to listen on.
func (s *settings) address(name string) (host, port string) {
	host, port, err := net.SplitHostPort(s.text(name))
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 0 || n > 65535 {
		s.fault(name, "invalid address %q: use HOST:PORT, for example 127.0.0.1:8080, or 0.0.0.0:8080 for all addresses of this machine", s.text(name))
		return "", ""
	}
	return host, port
}

// bothLoopbacks reports whether the host is a usual spelling of the loopback address. The server then listens on 127.0.0.1 and ::1,
// because browsers try ::1 for localhost first.
func bothLoopbacks(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// issuer returns the public address of the server, or "" if it follows from the port. host and port are the listener's, both empty
// if that setting is invalid.
func (s *settings) issuer(host, port string) string {
	text := s.text("issuer")
	if text != "" {
		if err := checkIssuer(text); err != nil {
			s.fault("issuer", "%v", err)
		}
		return text
	}
	if port != "" && !bothLoopbacks(host) {
		s.fault("issuer", "required, because other machines can connect: give the address that browsers use, such as https://auth.example.com")
	}
	return ""
}

// checkIssuer requires an origin in the form that browsers use, because issuers are compared byte for byte (RFC 9207 §2.4).
func checkIssuer(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("invalid address %q: use for example https://auth.example.com", text)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%q: the port must be a number from 1 to 65535", text)
		}
	}
	if strings.IndexFunc(u.Host, func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
		ascii, err := idna.Lookup.ToASCII(u.Hostname())
		if err != nil {
			return fmt.Errorf("%q: the host is neither ASCII nor a valid internationalised name", text)
		}
		return fmt.Errorf("%q: the host is not ASCII, and browsers send it as xn--…: write %s", text, u.Scheme+"://"+strings.Replace(u.Host, u.Hostname(), ascii, 1))
	}
	plain := u.Scheme + "://" + strings.ToLower(u.Host)
	if u.Port() == map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		plain = strings.TrimSuffix(plain, ":"+u.Port())
	}
	if text != plain {
		return fmt.Errorf("%q has more than an origin: use %s", text, plain)
	}
	if u.Scheme == "http" && !bothLoopbacks(u.Hostname()) {
		return errors.New("http is allowed for localhost only: use https")
	}
	return nil
}

// freePlan is the plan that cannot include the platform's API.
const freePlan = "free"

// apiPlans returns the plans whose accounts may use API keys and integration tokens.
func (s *settings) apiPlans() []string {
	plans := []string{}
	for plan := range strings.SplitSeq(s.text("api-plans"), ",") {
		plan = strings.TrimSpace(plan)
		switch {
		case plan == freePlan:
			s.fault("api-plans", "the plan free cannot include the API")
		case plan == "" || strings.Trim(plan, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "":
			s.fault("api-plans", "%q is not the name of a plan: use lower-case letters, digits, - and _, and commas between several", plan)
		default:
			plans = append(plans, plan)
		}
	}
	return plans
}

// plans returns the plans that an account can have.
func plans(apiPlans []string) []string {
	all := []string{directory.DefaultPlan, freePlan}
	for _, plan := range apiPlans {
		if !slices.Contains(all, plan) {
			all = append(all, plan)
		}
	}
	return all
}

// proxies returns the networks whose forwarded headers are trusted.
func (s *settings) proxies() []netip.Prefix {
	var networks []netip.Prefix
	for text := range strings.SplitSeq(s.text("trusted-proxies"), ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		network, err := netip.ParsePrefix(text)
		if addr, single := netip.ParseAddr(text); single == nil {
			network, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			s.fault("trusted-proxies", "invalid network %q (want for example 10.0.0.0/8)", text)
			continue
		}
		networks = append(networks, network.Masked())
	}
	return networks
}

// verifyIgnore returns the query parameters that forward-auth ignores.
func (s *settings) verifyIgnore() []string {
	var names []string
	for name := range strings.SplitSeq(s.text("verify-ignore"), ",") {
		switch name = strings.TrimSpace(name); {
		case name == "":
		case slices.Contains(server.VerifyNames(), name):
			s.fault("verify-ignore", "%q is a parameter of /oauth/verify; ignoring it would disable a check", name)
		default:
			names = append(names, name)
		}
	}
	return names
}

// logger returns a logger to w with the level and format of the settings.
func (s *settings) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.oneOf("log-level", "debug", "info", "warn", "error"))); err != nil {
		level = slog.LevelInfo // the fault is recorded
	}
	options := &slog.HandlerOptions{Level: level}
	if s.oneOf("log-format", "text", "json") == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
