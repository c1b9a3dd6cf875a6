package faults

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver named pgx
	_ "modernc.org/sqlite"             // the driver named sqlite

	"xenoauth/internal/secret"
)

// openDB opens another connection to the server's database.
func openDB(databaseURL string) (*sql.DB, error) {
	driver, source := "pgx", databaseURL
	if path, isSQLite := strings.CutPrefix(source, "sqlite:"); isSQLite {
		driver, source = "sqlite", "file:"+path+"?_busy_timeout=5000"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return db, nil
}

// invalidRows are rows that must not exist, each with a statement that counts them.
var invalidRows = []struct{ what, sql string }{
	{"tokens without app or installation", `SELECT COUNT(*) FROM tokens t WHERE NOT EXISTS (SELECT 1 FROM apps a WHERE a.id = t.app_id)
		OR NOT EXISTS (SELECT 1 FROM installations i WHERE i.id = t.installation_id AND i.app_id = t.app_id)`},
	{"tokens without a code", `SELECT COUNT(*) FROM tokens t LEFT JOIN codes c ON c.token_id = t.id WHERE c.id IS NULL`},
	{"expiring tokens without app", `SELECT COUNT(*) FROM expiring_tokens t WHERE NOT EXISTS (SELECT 1 FROM apps a WHERE a.id = t.app_id)`},
	{"expiring tokens with an installation or a family alone", `SELECT COUNT(*) FROM expiring_tokens t
		WHERE (t.installation_id = '') <> (t.family_id IS NULL)`},
	{"expiring tokens without their family", `SELECT COUNT(*) FROM expiring_tokens t LEFT JOIN families f ON f.id = t.family_id
		WHERE t.family_id IS NOT NULL AND (f.id IS NULL OR f.app_id <> t.app_id OR f.installation_id <> t.installation_id)`},
	{"families without a code", `SELECT COUNT(*) FROM families f LEFT JOIN codes c ON c.family_id = f.id WHERE c.id IS NULL`},
	{"families without a refresh token", `SELECT COUNT(*) FROM families f WHERE NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.family_id = f.id)`},
	{"codes with two products", `SELECT COUNT(*) FROM codes WHERE token_id IS NOT NULL AND family_id IS NOT NULL`},
	{"codes with a product that were not consumed, or the other way round", `SELECT COUNT(*) FROM codes
		WHERE (consumed_at IS NULL) <> (token_id IS NULL AND family_id IS NULL)`},
	{"codes without their product", `SELECT COUNT(*) FROM codes c LEFT JOIN tokens t ON t.id = c.token_id LEFT JOIN families f ON f.id = c.family_id
		WHERE c.consumed_at IS NOT NULL AND t.id IS NULL AND f.id IS NULL`},
	{"codes that share a product", `SELECT COUNT(*) FROM (SELECT token_id FROM codes WHERE token_id IS NOT NULL GROUP BY token_id HAVING COUNT(*) > 1
		UNION ALL SELECT family_id FROM codes WHERE family_id IS NOT NULL GROUP BY family_id HAVING COUNT(*) > 1) x`},
	{"refresh tokens without their family", `SELECT COUNT(*) FROM refresh_tokens r LEFT JOIN families f ON f.id = r.family_id WHERE f.id IS NULL`},
	{"refresh tokens with two successors", `SELECT COUNT(*) FROM (SELECT previous_id FROM refresh_tokens WHERE previous_id IS NOT NULL
		AND replaced_at IS NULL GROUP BY previous_id HAVING COUNT(*) > 1) x`},
	{"rotated refresh tokens without a successor, or the other way round", `SELECT COUNT(*) FROM refresh_tokens r LEFT JOIN refresh_tokens n ON n.previous_id = r.id
		AND n.replaced_at IS NULL WHERE (r.rotated_at IS NULL OR r.replaced_at IS NOT NULL) <> (n.id IS NULL)`},
	{"families with more or fewer access tokens than refresh tokens", `SELECT COUNT(*) FROM families f
		JOIN (SELECT family_id, COUNT(*) AS n FROM refresh_tokens GROUP BY family_id) r ON r.family_id = f.id
		LEFT JOIN (SELECT family_id, COUNT(*) AS n FROM expiring_tokens WHERE family_id IS NOT NULL GROUP BY family_id) t ON t.family_id = f.id
		WHERE COALESCE(t.n, 0) <> r.n`},
	{"installations without an audit event of their creation", `SELECT COUNT(*) FROM installations i WHERE NOT EXISTS (
		SELECT 1 FROM audit_events e WHERE e.installation_id = i.id AND e.kind = 'installation.created')`},
	{"removed installations without exactly one audit event of their removal", `SELECT COUNT(*) FROM installations i WHERE i.removed_at IS NOT NULL AND (
		SELECT COUNT(*) FROM audit_events e WHERE e.installation_id = i.id AND e.kind = 'installation.removed') <> 1`},
	{"live installations with an audit event of their removal", `SELECT COUNT(*) FROM installations i WHERE i.removed_at IS NULL AND EXISTS (
		SELECT 1 FROM audit_events e WHERE e.installation_id = i.id AND e.kind = 'installation.removed')`},
}

// checkRows compares the rows with each other: I6.
func checkRows(ctx context.Context, databaseURL string) ([]Violation, error) {
	db, err := openDB(databaseURL)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var found []Violation
	for _, f := range invalidRows {
		var n int
		if err := db.QueryRowContext(ctx, f.sql).Scan(&n); err != nil {
			return nil, fmt.Errorf("count %s: %w", f.what, err)
		}
		if n > 0 {
			found = append(found, Violation{"I6", fmt.Sprintf("%d %s", n, f.what)})
		}
	}
	events, err := checkEvents(ctx, db)
	if err != nil {
		return nil, err
	}
	return append(found, events...), nil
}

// eventsOf are rows of which each must have an audit event: the row's id and kind of event, or the other id and kind.
var eventsOf = []struct{ what, sql, kind, orKind string }{
	{"tokens that were issued", `SELECT token_id, id FROM codes WHERE token_id IS NOT NULL`, "token.issued", ""},
	{"families that were begun", `SELECT family_id, id FROM codes WHERE family_id IS NOT NULL`, "token.issued", ""},
	{"tokens that were revoked", `SELECT t.id, c.id FROM tokens t JOIN codes c ON c.token_id = t.id WHERE t.revoked_at IS NOT NULL`, "token.revoked", "code.replayed"},
	{"families that were ended", `SELECT f.id, c.id FROM families f JOIN codes c ON c.family_id = f.id WHERE f.ended_at IS NOT NULL`, "family.ended", "code.replayed"},
}

// checkEvents compares the rows with the audit trail.
func checkEvents(ctx context.Context, db *sql.DB) ([]Violation, error) {
	recorded := map[string]int{} // by kind and subject
	err := eachRow(ctx, db, `SELECT kind, subject FROM audit_events`, func(scan func(...any) error) error {
		var kind, subject string
		err := scan(&kind, &subject)
		recorded[kind+" "+subject]++
		return err
	})
	if err != nil {
		return nil, err
	}
	var found []Violation
	for _, r := range eventsOf {
		missing := 0
		err := eachRow(ctx, db, r.sql, func(scan func(...any) error) error {
			var id, other []byte
			if err := scan(&id, &other); err != nil {
				return err
			}
			subject, code := secret.ID(id), secret.ID(other)
			if recorded[r.kind+" "+subject.String()]+recorded[r.orKind+" "+code.String()] == 0 {
				missing++
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.what, err)
		}
		if missing > 0 {
			found = append(found, Violation{"I6", fmt.Sprintf("%d %s without an audit event", missing, r.what)})
		}
	}
	return found, nil
}

func eachRow(ctx context.Context, db *sql.DB, statement string, do func(scan func(...any) error) error) error {
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows.Scan); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	return rows.Err()
}
