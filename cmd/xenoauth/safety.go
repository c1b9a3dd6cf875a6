package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"xenoauth/store"
)

// safetyFix returns the fix for an unsafe database setting.
var safetyFix = map[string]string{
	"fsync":              "set fsync = on in postgresql.conf and reload Postgres",
	"full_page_writes":   "set full_page_writes = on in postgresql.conf and reload Postgres",
	"synchronous_commit": "set synchronous_commit = on (or local, remote_write, remote_apply) for the server, and for this role, database and URL, if one of them overrides it",
	"synchronous":        "this SQLite was built with another default than FULL; use the release",
}

// safetyFixes has a line for each unsafe setting.
func safetyFixes(unsafe []string) []string {
	lines := make([]string, len(unsafe))
	for i, setting := range unsafe {
		name, _, _ := strings.Cut(setting, " ")
		lines[i] = setting + ": " + safetyFix[name]
	}
	return lines
}

// checkSafety refuses a database that can lose acknowledged writes when its machine fails, because a revoked token would become
// valid again. If allowed is true, it only warns.
func checkSafety(ctx context.Context, st store.Upkeep, allowed bool, log *slog.Logger) error {
	unsafe, err := st.UnsafeSettings(ctx)
	if err != nil {
		return fmt.Errorf("check the durability of the database: %w", err)
	}
	switch {
	case len(unsafe) == 0:
		return nil
	case allowed:
		log.WarnContext(ctx, "the database can lose acknowledged writes when its machine fails", "settings", strings.Join(unsafe, ", "))
		return nil
	}
	return errors.New(`the database can lose acknowledged writes when its machine fails, so a revoked token could become valid again:
  ` + strings.Join(safetyFixes(unsafe), "\n  ") + `
If that does not matter, or the storage itself is durable, add --allow-unsafe-database.`)
}
