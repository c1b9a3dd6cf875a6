package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"xenoauth/store/sqlstore"
)

// migrationView is one migration in JSON.
type migrationView struct {
	Version   int64    `json:"version"`
	Name      string   `json:"name"`
	AppliedAt jsonTime `json:"applied_at"` // null: pending
	Known     bool     `json:"known"`      // false: a newer release applied it
}

func viewMigration(m sqlstore.MigrationStatus) migrationView {
	return migrationView{Version: m.Version, Name: m.Name, AppliedAt: jsonTime(m.AppliedAt), Known: m.Name != ""}
}

func (p *program) migrateCommand() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:   "migrate",
		Short: "Migrate the database, or show the state of its migrations",
	}, p.migrateUp(), p.migrateStatus())
}

func (p *program) migrateUp() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Apply all pending migrations; a missing SQLite file is created",
		Example: `  xenoauth migrate up
  xenoauth migrate up --database-url postgres://xenoauth@db.example/xenoauth`,
		Args: arguments(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.act(func(cmd *cobra.Command, _ []string) error {
		s := p.load(cmd)
		address := s.databaseURL()
		if err := s.err(); err != nil {
			return err
		}
		st, err := openStore(cmd.Context(), address, sqlstore.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		defer st.Close()
		applied, err := st.Migrate(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(struct {
				Applied int `json:"applied"`
			}{applied})
		}
		p.printLine("applied %d migrations; %s is up to date", applied, databaseName(address))
		return nil
	})
	return cmd
}

func (p *program) migrateStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "List migrations and when each was applied",
		Example: "  xenoauth migrate status --json",
		Args:    arguments(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.act(func(cmd *cobra.Command, _ []string) error {
		s := p.load(cmd)
		address := s.databaseURL()
		if err := s.err(); err != nil {
			return err
		}
		st, err := openExisting(cmd.Context(), address)
		if err != nil {
			return err
		}
		defer st.Close()
		status, err := st.MigrationStatus(cmd.Context())
		if err != nil {
			return err
		}
		views, rows := []migrationView{}, [][]string{}
		for _, m := range status {
			v := viewMigration(m)
			views = append(views, v)
			if !v.Known {
				v.Name = "(of a newer release)"
			}
			state := "pending"
			if !m.AppliedAt.IsZero() {
				state = v.AppliedAt.String()
			}
			rows = append(rows, []string{fmt.Sprint(v.Version), v.Name, state})
		}
		if *asJSON {
			return p.printJSON(views)
		}
		return p.printRows([]string{"VERSION", "NAME", "APPLIED (UTC)"}, rows)
	})
	return cmd
}
