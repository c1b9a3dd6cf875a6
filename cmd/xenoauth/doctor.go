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
	// overdue is how long something may have been waiting for a sweep before nobody seems to sweep.
	overdue = 15 * time.Minute
	// clockTolerance is how far the database's clock and this machine's may be apart. Expiry goes by the database's.
	clockTolerance = 2 * time.Second
)

// report is what the doctor found out, and its form in JSON.
type report struct {
	Healthy    bool            `json:"healthy"`
	Attention  []string        `json:"attention"`
	Database   databaseView    `json:"database"`
	Pending    []migrationView `json:"pending_migrations"`
	Unsafe     []string        `json:"unsafe_settings"`
	ClockAhead float64         `json:"clock_ahead_seconds"` // of the database's
	Catalogue  *catalogueView  `json:"catalogue"`           // of scopes, in force; null: not known
	Live       *liveView       `json:"live"`
	LastEvent  *eventView      `json:"last_event"`
	Incomplete []string        `json:"incomplete"` // what could not be looked at, and why
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
	Since   moment   `json:"since"`         // null: no server has set one yet
	Servers int      `json:"servers"`       // that run
	Others  int      `json:"other_servers"` // of these, those that run with another catalogue
}

type liveView struct {
	Apps          *int     `json:"apps"`          // null: not counted
	Installations *int     `json:"installations"` // pairs of an app and an account
	Tokens        *int     `json:"tokens"`
	AtLeast       []string `json:"at_least"` // the names of those of which there may be more
}

type eventView struct {
	At   moment `json:"at"`
	Kind string `json:"kind"`
}

type tableView struct {
	Table         string `json:"table"`
	Rows          *int64 `json:"rows"`      // null: not known
	MoreRows      bool   `json:"more_rows"` // the count ended at rows
	Bytes         int64  `json:"bytes"`
	Day           *int64 `json:"rows_24h"` // null: not known
	Week          *int64 `json:"rows_7d"`
	OldestExpired moment `json:"oldest_expired"`
}

func (p *program) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at the database and the settings, and say what needs attention",
		Long: `Look at the database and the settings of "xenoauth serve", given to this command in the same way:
sizes and growth of all tables, what has expired and is not removed, pending migrations, unsafe
settings, clocks. Nothing is changed, and it works beside a running server.

The exit code is 1 if something needs attention; each such thing is a sentence that says what to
do. Of a large database the answer is bounded: row counts of large tables are estimates on Postgres
and end at 100,000 on SQLite, and the figures of what is live are those of the first 20,000 apps and
installations and of the newest 20,000 tokens. What cannot be looked at in time is named, and does
not by itself make the exit code 1.`,
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
			err = fmt.Errorf("%d things need attention", len(r.Attention))
			if len(r.Attention) == 1 {
				err = fmt.Errorf("one thing needs attention")
			}
		}
		return err
	})
	return cmd
}

// examine finds everything out. Its error means that the database could not be asked.
func (p *program) examine(ctx context.Context, s *settings) (*report, error) {
	address := s.databaseURL()
	if err := s.err(); err != nil {
		return nil, err
	}
	r := &report{settings: s, Attention: []string{}, Pending: []migrationView{}, Unsafe: []string{}, Tables: []tableView{}, Incomplete: []string{}}
	// What serve would refuse is one finding among others here.
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
		{"settings and clock of the database", r.lookAtDatabase}, {"whether the database takes writes", r.lookAtWrites},
		{"pooler", r.lookAtPooler}, {"migrations", r.lookAtMigrations}, {"origin of the database", r.lookAtOrigin}, {"catalogue of scopes", r.lookAtCatalogue}, {"tables", r.lookAtTables}, {"number of live rows", r.lookAtLife},
	} {
		if err := part.look(ctx); err != nil {
			r.missed(part.name, err)
		}
	}
	r.lookAtSettings()
	r.Healthy = len(r.Attention) == 0
	return r, nil
}

// missed notes a part that could not be looked at. It needs attention unless the database is merely too large or too busy
// to answer in time.
func (r *report) missed(part string, err error) {
	// The faults of several tables are joined by line feeds.
	sentence := fmt.Sprintf("%s: %s", part, strings.ReplaceAll(err.Error(), "\n", "; "))
	r.Incomplete = append(r.Incomplete, sentence)
	if !errors.Is(err, store.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		r.attend("Not all could be looked at. %s", sentence)
	}
}

// attend notes something that needs attention: what it is and what to do.
func (r *report) attend(format string, args ...any) {
	r.Attention = append(r.Attention, fmt.Sprintf(format, args...))
}

func (r *report) lookAtDatabase(ctx context.Context) (err error) {
	if r.Database.Version, err = r.store.DatabaseVersion(ctx); err != nil {
		return err
	}
	unsafe, err := r.store.UnsafeSettings(ctx)
	if err != nil {
		return err
	}
	r.Unsafe = append(r.Unsafe, unsafe...)
	for _, line := range howToMend(unsafe) {
		r.attend("The database may lose what it acknowledged: %s.", line)
	}
	ahead, err := r.store.ClockDifference(ctx)
	if err != nil {
		return err
	}
	r.ClockAhead = ahead.Round(time.Millisecond).Seconds()
	if ahead.Abs() > clockTolerance {
		r.attend("The database's clock and this machine's are %s apart: let both follow the same time server.", ahead.Abs().Round(time.Millisecond))
	}
	return nil
}

func (r *report) lookAtMigrations(ctx context.Context) error {
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
		r.attend(`%d of %d migrations are pending: run "xenoauth migrate up" (serve does it at its start unless --migrate is off).`, n, len(status))
	}
	return r.lookAtSchema(ctx, status)
}

// lookAtCatalogue compares the catalogue in force with the settings of serve and with what running servers have.
func (r *report) lookAtCatalogue(ctx context.Context) error {
	stored, since, found, err := storedCatalogue(ctx, r.store)
	if len(r.Pending) > 0 {
		return nil // it may have no table yet
	}
	if err != nil {
		return err
	}
	view := catalogueView{Builtin: stored.text == "", Scopes: stored.catalogue.Names(), Since: moment(since)}
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

func (r *report) lookAtTables(ctx context.Context) error {
	kept := r.serve.options.Retention
	if kept.Audit > 0 {
		kept.Audit += overdue
	}
	kept.Grace += overdue
	list, err := r.store.TableSizes(ctx, kept)
	now := r.store.Now()
	for _, t := range list {
		v := tableView{Table: t.Table, MoreRows: t.More, Bytes: t.Bytes, OldestExpired: moment(t.OldestExpired)}
		v.Rows, v.Day, v.Week = known(t.Rows), known(t.Day), known(t.Week)
		r.Tables = append(r.Tables, v)
		since := now.Sub(t.OldestExpired)
		late := !t.OldestExpired.IsZero() && since > overdue && (!revoked[t.Table] || since > store.KeepRevoked+overdue)
		if late {
			r.attend("Rows of %s that ended %s (UTC) are still there: look at the log of a running server for why it does not remove them, or start one.",
				t.Table, moment(t.OldestExpired))
		}
	}
	return err
}

// known is a number of rows, or nil for -1.
func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// revoked are the tables whose rows are kept for store.KeepRevoked, whatever the settings say.
var revoked = map[string]bool{"tokens": true, "client_secrets": true}

// lookAtLife counts what a migrated database holds. While migrations are pending there may be nothing to count in.
func (r *report) lookAtLife(ctx context.Context) error {
	figures, err := r.store.CountFigures(ctx, store.MostFigured)
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
		r.LastEvent = &eventView{At: moment(e.At), Kind: e.Kind}
	}
	if len(r.Pending) > 0 {
		return nil
	}
	return errors.Join(err, eventsErr)
}
