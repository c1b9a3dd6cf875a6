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

// lookAtSettings finds what serve would refuse, and what it would take although it is hardly meant.
func (r *report) lookAtSettings() {
	for _, fault := range r.settings.faults {
		r.attend("A setting of serve needs mending: %s.", strings.TrimSuffix(fault, "."))
	}
	if len(r.settings.faults) == 0 {
		r.lookAtIssuer()
	}
	r.lookAtProxies()
	r.lookAtGuards()
	r.lookAtFile()
}

// muchFailure is how many wrong passwords no person types, and no office, in a quarter of an hour.
const muchFailure = 10_000

// lookAtGuards finds what protects something, and is switched off.
func (r *report) lookAtGuards() {
	if r.serve.opsPort != "" && !bothLoopbacks(r.serve.opsHost) {
		r.attend("--ops-listen is %s, and that listener asks nobody who they are: let only your monitoring reach it, or listen on 127.0.0.1.", r.settings.text("ops-listen"))
	}
	f := r.serve.options.Limits
	for _, bound := range []struct {
		name string
		most int
	}{{"--login-failures", f.LogIn}, {"--account-failures", f.Account}, {"--ip-failures", f.IP}, {"--client-failures", f.Client}} {
		if bound.most >= muchFailure {
			r.attend("%s is %d: nobody who guesses is stopped.", bound.name, bound.most)
		}
	}
	if r.serve.allowUnsafe {
		r.attend("--allow-unsafe-database is set: serve would start on a database that loses what it acknowledged; take it out when it has served its purpose.")
	}
}

// lookAtIssuer compares the public address with where serve listens.
func (r *report) lookAtIssuer() {
	text := r.settings.text("issuer")
	if text == "" {
		return
	}
	issuer, err := url.Parse(text)
	if err != nil {
		return // a fault, then
	}
	host, port := r.serve.host, r.serve.port
	switch {
	case issuer.Scheme == "http" && !bothLoopbacks(host):
		r.attend("The issuer %s is for this machine only, but serve listens on %s for others, too: give the https address that browsers use as --issuer, or listen on 127.0.0.1.", text, host)
	case issuer.Scheme == "http" && issuer.Port() != port && port != "0":
		r.attend("The issuer %s names another port than serve listens on (%s): leave --issuer out, or make both the same.", text, port)
	case issuer.Scheme == "https" && len(r.serve.options.TrustedProxies) == 0:
		r.attend("The issuer is https, so a proxy in front ends TLS, but --trusted-proxies is empty: all clients share the proxy's address in limits and in the audit trail; name the proxy's network.")
	}
}

// lookAtProxies finds proxies that are no proxies.
func (r *report) lookAtProxies() {
	for _, network := range r.serve.options.TrustedProxies {
		if network.Bits() == 0 {
			r.attend("--trusted-proxies holds %s, so that any client may invent its address: it is never limited by it, and the audit trail has what it said; name the proxy's network.", network)
		}
	}
}

// lookAtFile looks at who may read a SQLite file.
func (r *report) lookAtFile() {
	path, isFile := strings.CutPrefix(r.settings.text("database-url"), "sqlite:")
	if !isFile {
		return
	}
	path, _, _ = strings.Cut(path, "?")
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		r.attend("Others on this machine may open the database file (mode %s): chmod 600 %s*", info.Mode().Perm(), path)
	}
}

// printReport prints the report for people: facts, tables, and what needs attention last, where it is read.
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
		p.say("")
		if err := p.printRows([]string{"TABLE", "ROWS", "SIZE", "24 H", "7 DAYS", "EXPIRED SINCE (UTC)"}, rows); err != nil {
			return err
		}
	}
	p.say("")
	for _, sentence := range r.Incomplete {
		p.say("? Not looked at: %s", sentence)
	}
	for _, sentence := range r.Attention {
		p.say("! %s", sentence)
	}
	switch {
	case r.Healthy && len(r.Incomplete) > 0:
		p.say("Of the rest, nothing needs attention.")
	case r.Healthy:
		p.say("Nothing needs attention.")
	}
	return nil
}

// figure is a number of live rows.
func (f *liveView) figure(name string, n *int) string {
	switch {
	case n == nil:
		return "?"
	case slices.Contains(f.AtLeast, name):
		return fmt.Sprintf("%d or more", *n)
	}
	return fmt.Sprint(*n)
}

// rows is how many rows there are.
func (t tableView) rows() string {
	switch {
	case t.Rows == nil:
		return "?"
	case t.MoreRows:
		return fmt.Sprintf("over %d", *t.Rows)
	}
	return fmt.Sprint(*t.Rows)
}

// added is how many rows came, or a dash if the table cannot say.
func added(n *int64) string {
	if n == nil {
		return "-"
	}
	if *n >= store.MostCounted {
		return fmt.Sprintf("+%d or more", *n)
	}
	return fmt.Sprintf("+%d", *n)
}

// size is a number of bytes for people.
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
