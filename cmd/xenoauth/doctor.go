package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

const (
	// overdue is how long a row may wait for a sweep before the doctor reports that no sweep runs.
	overdue = 15 * time.Minute
	// clockTolerance is the maximum difference between the database's clock, which decides about expiry, and this machine's.
	clockTolerance = 2 * time.Second
)

// report is the result of the doctor, in Go and in JSON.
type report struct {
	Healthy    bool            `json:"healthy"`
	Attention  []string        `json:"attention"`
	Database   databaseView    `json:"database"`
	Pending    []migrationView `json:"pending_migrations"`
	Unsafe     []string        `json:"unsafe_settings"`
	ClockAhead float64         `json:"clock_ahead_seconds"` // of the database's
	Catalogue  *catalogueView  `json:"catalogue"`           // the catalogue of scopes in force; null: unknown
	Live       *liveView       `json:"live"`
	LastEvent  *eventView      `json:"last_event"`
	Incomplete []string        `json:"incomplete"` // checks that could not be made, and why
	Tables     []tableView     `json:"tables"`
	settings   *settings       // as serve would read them
	serve      serveConfig     // the same, checked
	store      *sqlstore.Store
}

type databaseView struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Pooler  string `json:"pooler,omitempty"` // "transaction", or none
}

type catalogueView struct {
	Builtin bool     `json:"builtin"`
	Scopes  []string `json:"scopes"`
	Since   jsonTime `json:"since"`         // null: no server has set one yet
	Servers int      `json:"servers"`       // running servers
	Others  int      `json:"other_servers"` // running servers with another catalogue
}

type liveView struct {
	Apps          *int     `json:"apps"`          // null: not counted
	Installations *int     `json:"installations"` // pairs of an app and an account
	Tokens        *int     `json:"tokens"`
	AtLeast       []string `json:"at_least"` // the names of the counts that stopped at their maximum
}

type eventView struct {
	At   jsonTime `json:"at"`
	Kind string   `json:"kind"`
}

type tableView struct {
	Table         string   `json:"table"`
	Rows          *int64   `json:"rows"`      // null: unknown
	MoreRows      bool     `json:"more_rows"` // the count ended at rows
	Bytes         int64    `json:"bytes"`
	Day           *int64   `json:"rows_24h"` // null: unknown
	Week          *int64   `json:"rows_7d"`
	OldestExpired jsonTime `json:"oldest_expired"`
}

func (p *program) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the database and the settings, and report problems",
		Long: `Check the database and the settings of "xenoauth serve", given to this command in the same way:
sizes and growth of all tables, expired rows that have not been deleted, pending migrations, unsafe
settings, and clocks. It changes nothing, and works beside a running server.

The exit code is 1 if there is a problem; each problem is a sentence with its fix. For a large
database the report is limited: row counts of large tables are estimates on Postgres and stop at
100,000 on SQLite, and the counts of active rows cover the first 20,000 apps and installations and
the newest 20,000 tokens. A check that takes too long is reported, and does not change the exit
code.`,
		Example: `  xenoauth doctor
  xenoauth doctor --json --database-url postgres://xenoauth@db.example/xenoauth`,
		Args: arguments(),
	}
	p.define(cmd.Flags(), serveSettings...)
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.act(func(cmd *cobra.Command, _ []string) error {
		r, err := p.examine(cmd.Context(), p.load(cmd))
		if err != nil {
			return err
		}
		if *asJSON {
			err = p.printJSON(r)
		} else {
			err = p.printReport(r)
		}
		if err == nil && !r.Healthy {
			err = fmt.Errorf("there are %d problems", len(r.Attention))
			if len(r.Attention) == 1 {
				err = fmt.Errorf("there is 1 problem")
			}
		}
		return err
	})
	return cmd
}

// examine makes all checks. An error means that the database could not be queried.
func (p *program) examine(ctx context.Context, s *settings) (*report, error) {
	address := s.databaseURL()
	if err := s.err(); err != nil {
		return nil, err
	}
	r := &report{settings: s, Attention: []string{}, Pending: []migrationView{}, Unsafe: []string{}, Tables: []tableView{}, Incomplete: []string{}}
	// Settings that serve would refuse are one finding among others.
	r.serve, _ = p.serveConfig(s)
	st, err := openExisting(ctx, address)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	r.store = st
	r.Database.Name = databaseName(address)
	for _, part := range []struct {
		name string
		look func(context.Context) error
	}{
		{"settings and clock of the database", r.checkDatabase}, {"whether the database takes writes", r.checkWrites},
		{"pooler", r.checkPooler}, {"migrations", r.checkMigrations}, {"origin of the database", r.checkRestored}, {"catalogue of scopes", r.checkCatalogue}, {"tables", r.checkTables}, {"number of live rows", r.checkContent},
	} {
		if err := part.look(ctx); err != nil {
			r.missed(part.name, err)
		}
	}
	r.checkSettings()
	r.Healthy = len(r.Attention) == 0
	return r, nil
}

// missed records a check that could not be made. It needs attention, unless the database was too large or too busy to answer in
// time.
func (r *report) missed(part string, err error) {
	// Errors of several tables are joined by line feeds.
	sentence := fmt.Sprintf("%s: %s", part, strings.ReplaceAll(err.Error(), "\n", "; "))
	r.Incomplete = append(r.Incomplete, sentence)
	if !errors.Is(err, store.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		r.attend("Some checks could not be made. %s", sentence)
	}
}

// attend records a problem and its fix.
func (r *report) attend(format string, args ...any) {
	r.Attention = append(r.Attention, fmt.Sprintf(format, args...))
}

func (r *report) checkDatabase(ctx context.Context) (err error) {
	if r.Database.Version, err = r.store.DatabaseVersion(ctx); err != nil {
		return err
	}
	unsafe, err := r.store.UnsafeSettings(ctx)
	if err != nil {
		return err
	}
	r.Unsafe = append(r.Unsafe, unsafe...)
	for _, line := range safetyFixes(unsafe) {
		r.attend("The database can lose acknowledged writes: %s.", line)
	}
	ahead, err := r.store.ClockDifference(ctx)
	if err != nil {
		return err
	}
	r.ClockAhead = ahead.Round(time.Millisecond).Seconds()
	if ahead.Abs() > clockTolerance {
		r.attend("The clocks of the database and of this machine differ by %s: synchronise both with the same time server.", ahead.Abs().Round(time.Millisecond))
	}
	return nil
}

func (r *report) checkMigrations(ctx context.Context) error {
	status, err := r.store.MigrationStatus(ctx)
	if err != nil {
		return err
	}
	for _, m := range status {
		if m.AppliedAt.IsZero() {
			r.Pending = append(r.Pending, viewMigration(m))
		}
	}
	if n := len(r.Pending); n > 0 {
		r.attend(`%d of %d migrations are pending: run "xenoauth migrate up" (serve does so at start-up unless --migrate is off).`, n, len(status))
	}
	return r.checkSchema(ctx, status)
}

// checkCatalogue compares the catalogue in force with the settings of serve and with the running servers.
func (r *report) checkCatalogue(ctx context.Context) error {
	stored, since, found, err := storedCatalogue(ctx, r.store)
	if len(r.Pending) > 0 {
		return nil // the table may not exist yet
	}
	if err != nil {
		return err
	}
	view := catalogueView{Builtin: stored.text == "", Scopes: stored.catalogue.Names(), Since: jsonTime(since)}
	servers, err := r.store.RunningServers(ctx, r.store.Now().Add(-seenWithin))
	if err != nil {
		return err
	}
	for _, s := range servers {
		view.Servers++
		if s.Catalogue != stored.hash() {
			view.Others++
		}
	}
	r.Catalogue = &view
	if view.Others > 0 {
		r.attend("%d of %d running servers have another catalogue of scopes than the one in force since %s (UTC): restart them with the same --scopes.", view.Others, view.Servers, view.Since)
	}
	if c := r.serve.scopes; found && c.given && c.catalogue != nil && c.hash() != stored.hash() {
		r.attend("--scopes names another catalogue than the one in force since %s (UTC) (%s): restart every server with it, or leave it out.", view.Since, compareScopes(stored.catalogue, c.catalogue))
	}
	return nil
}

func (r *report) checkTables(ctx context.Context) error {
	kept := r.serve.options.Retention
	if kept.Audit > 0 {
		kept.Audit += overdue
	}
	kept.Grace += overdue
	list, err := r.store.TableSizes(ctx, kept)
	now := r.store.Now()
	for _, t := range list {
		v := tableView{Table: t.Table, MoreRows: t.More, Bytes: t.Bytes, OldestExpired: jsonTime(t.OldestExpired)}
		v.Rows, v.Day, v.Week = known(t.Rows), known(t.Day), known(t.Week)
		r.Tables = append(r.Tables, v)
		since := now.Sub(t.OldestExpired)
		late := !t.OldestExpired.IsZero() && since > overdue && (!revoked[t.Table] || since > store.KeepRevoked+overdue)
		if late {
			r.attend("Rows of %s that ended %s (UTC) have not been deleted: see the log of a running server for the reason, or start a server.",
				t.Table, jsonTime(t.OldestExpired))
		}
	}
	return err
}

// known returns a number of rows, or nil for -1.
func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// revoked are the tables whose rows are kept for store.KeepRevoked, which no setting changes.
var revoked = map[string]bool{"tokens": true, "client_secrets": true}

// checkContent counts the rows of a migrated database. While migrations are pending, tables may be missing.
func (r *report) checkContent(ctx context.Context) error {
	figures, err := r.store.CountFigures(ctx, store.MaxFigures)
	r.Live = &liveView{AtLeast: []string{}}
	for _, figure := range []struct {
		name  string
		count *store.Count
		shown **int
	}{{"apps", figures.Apps, &r.Live.Apps}, {"installations", figures.Installed, &r.Live.Installations}, {"tokens", figures.Tokens, &r.Live.Tokens}} {
		if figure.count == nil {
			continue
		}
		*figure.shown = &figure.count.N
		if figure.count.More {
			r.Live.AtLeast = append(r.Live.AtLeast, figure.name)
		}
	}
	if figures == (store.Figures{}) {
		r.Live = nil
	}
	events, eventsErr := r.store.Events(ctx, store.EventFilter{Limit: 1})
	for _, e := range events {
		r.LastEvent = &eventView{At: jsonTime(e.At), Kind: e.Kind}
	}
	if len(r.Pending) > 0 {
		return nil
	}
	return errors.Join(err, eventsErr)
}
