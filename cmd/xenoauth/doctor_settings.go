package main

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"xenoauth/store"
)

// checkSettings finds settings that serve would refuse, and valid settings that are probably mistakes.
func (r *report) checkSettings() {
	for _, fault := range r.settings.faults {
		r.attend("Invalid setting of serve: %s.", strings.TrimSuffix(fault, "."))
	}
	if len(r.settings.faults) == 0 {
		r.checkPublicAddress()
	}
	r.checkProxies()
	r.checkLimits()
	r.checkFileMode()
}

// muchFailure is a number of wrong passwords that the users behind one address do not type in 15 minutes.
const muchFailure = 10_000

// checkLimits finds limits that are set so high that they protect nothing.
func (r *report) checkLimits() {
	if r.serve.opsPort != "" && !bothLoopbacks(r.serve.opsHost) {
		r.attend("--ops-listen is %s, and that listener has no authentication: restrict it to your monitoring, or listen on 127.0.0.1.", r.settings.text("ops-listen"))
	}
	f := r.serve.options.Limits
	for _, bound := range []struct {
		name string
		most int
	}{{"--login-failures", f.LogIn}, {"--account-failures", f.Account}, {"--ip-failures", f.IP}, {"--client-failures", f.Client}} {
		if bound.most >= muchFailure {
			r.attend("%s is %d: it stops no attacker who guesses.", bound.name, bound.most)
		}
	}
	if r.serve.allowUnsafe {
		r.attend("--allow-unsafe-database is set: serve would start on a database that can lose acknowledged writes. Remove the setting as soon as possible.")
	}
}

// checkPublicAddress compares the issuer with the listener of serve.
func (r *report) checkPublicAddress() {
	text := r.settings.text("issuer")
	if text == "" {
		return
	}
	issuer, err := url.Parse(text)
	if err != nil {
		return // reported as an invalid setting
	}
	host, port := r.serve.host, r.serve.port
	switch {
	case issuer.Scheme == "http" && !bothLoopbacks(host):
		r.attend("The issuer %s is for this machine only, but serve also listens on %s for other machines: give the https address that browsers use as --issuer, or listen on 127.0.0.1.", text, host)
	case issuer.Scheme == "http" && issuer.Port() != port && port != "0":
		r.attend("The issuer %s has another port than the listener of serve (%s): omit --issuer, or use the same port.", text, port)
	case issuer.Scheme == "https" && len(r.serve.options.TrustedProxies) == 0:
		r.attend("The issuer is https, so a proxy terminates TLS, but --trusted-proxies is empty: all clients share the proxy's address in limits and audit events. Set it to the proxy's network.")
	}
}

// checkProxies finds networks that are too large to be proxies.
func (r *report) checkProxies() {
	for _, network := range r.serve.options.TrustedProxies {
		if network.Bits() == 0 {
			r.attend("--trusted-proxies contains %s, so any client can forge its address, which evades limits and falsifies audit events. Set it to the proxy's network.", network)
		}
	}
}

// checkFileMode checks the permissions of a SQLite file.
func (r *report) checkFileMode() {
	path, isFile := strings.CutPrefix(r.settings.text("database-url"), "sqlite:")
	if !isFile {
		return
	}
	path, _, _ = strings.Cut(path, "?")
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		r.attend("Other users of this machine can read the database file (mode %s): chmod 600 %s*", info.Mode().Perm(), path)
	}
}

// printReport prints the report as text: details, tables, and at the end, where it is read, the problems.
func (p *program) printReport(r *report) error {
	migrations := "up to date"
	if n := len(r.Pending); n > 0 {
		migrations = fmt.Sprintf("%d pending", n)
	}
	unsafe := "none"
	if len(r.Unsafe) > 0 {
		unsafe = strings.Join(r.Unsafe, ", ")
	}
	fields := []field{
		{"database", r.Database.Name},
		{"version", r.Database.Version},
		{"pooler", cmp.Or(r.Database.Pooler, "none")},
		{"migrations", migrations},
		{"unsafe settings", unsafe},
		{"clock", fmt.Sprintf("%+.3f s from this machine's", r.ClockAhead)},
	}
	if c := r.Catalogue; c != nil {
		kind := "built-in"
		if !c.Builtin {
			kind = "from a file, in force since " + c.Since.String()
		}
		fields = append(fields, field{"scopes", fmt.Sprintf("%s (%s)", strings.Join(c.Scopes, " "), kind)}, field{"running servers", fmt.Sprint(c.Servers)})
	}
	if f := r.Live; f != nil {
		fields = append(fields, field{"live", fmt.Sprintf("%s apps, %s installations, %s non-expiring tokens",
			f.figure("apps", f.Apps), f.figure("installations", f.Installations), f.figure("tokens", f.Tokens))})
	}
	if e := r.LastEvent; e != nil {
		fields = append(fields, field{"last event", e.At.String() + " " + e.Kind})
	}
	if err := p.printFields(fields...); err != nil {
		return err
	}
	rows := [][]string{}
	for _, t := range r.Tables {
		rows = append(rows, []string{t.Table, t.rows(), size(t.Bytes), added(t.Day), added(t.Week), t.OldestExpired.String()})
	}
	if len(rows) > 0 {
		p.printLine("")
		if err := p.printRows([]string{"TABLE", "ROWS", "SIZE", "24 H", "7 DAYS", "EXPIRED SINCE (UTC)"}, rows); err != nil {
			return err
		}
	}
	p.printLine("")
	for _, sentence := range r.Incomplete {
		p.printLine("? Not checked: %s", sentence)
	}
	for _, sentence := range r.Attention {
		p.printLine("! %s", sentence)
	}
	switch {
	case r.Healthy && len(r.Incomplete) > 0:
		p.printLine("The other checks found no problems.")
	case r.Healthy:
		p.printLine("No problems found.")
	}
	return nil
}

// figure formats a number of live rows.
func (f *liveView) figure(name string, n *int) string {
	switch {
	case n == nil:
		return "?"
	case slices.Contains(f.AtLeast, name):
		return fmt.Sprintf("%d or more", *n)
	}
	return fmt.Sprint(*n)
}

// rows formats a number of rows.
func (t tableView) rows() string {
	switch {
	case t.Rows == nil:
		return "?"
	case t.MoreRows:
		return fmt.Sprintf("over %d", *t.Rows)
	}
	return fmt.Sprint(*t.Rows)
}

// added formats the number of rows added, or a dash if the table has no such figure.
func added(n *int64) string {
	if n == nil {
		return "-"
	}
	if *n >= store.MaxCounted {
		return fmt.Sprintf("+%d or more", *n)
	}
	return fmt.Sprintf("+%d", *n)
}

// size formats a number of bytes.
func size(bytes int64) string {
	value, units := float64(bytes), []string{"B", "kB", "MB", "GB", "TB"}
	for len(units) > 1 && value >= 1000 {
		value, units = value/1000, units[1:]
	}
	switch {
	case bytes == 0:
		return "-"
	case value < 10 && units[0] != "B":
		return fmt.Sprintf("%.1f %s", value, units[0])
	}
	return fmt.Sprintf("%.0f %s", value, units[0])
}
