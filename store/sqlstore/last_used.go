package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"xenoauth/store"
)

// usesPerStatement keeps statements far below the limits on parameters of both databases, and gives most of them the same
// text.
const usesPerStatement = 100

// RecordUse implements store.Usage.
func (s *Store) RecordUse(ctx context.Context, uses map[store.LookupID]time.Time) (err error) {
	defer wrapErr(&err, "record use of %d credentials", len(uses))
	ids := make([]store.LookupID, 0, len(uses))
	for id := range uses {
		ids = append(ids, id)
	}
	// A fixed lock order prevents deadlock between replicas.
	slices.SortFunc(ids, func(a, b store.LookupID) int { return slices.Compare(a[:], b[:]) })
	for part := range slices.Chunk(ids, usesPerStatement) {
		values, tokens := make([]any, 0, 2*len(part)), make([]any, 0, len(part))
		for _, id := range part {
			values = append(values, id[:], at(uses[id]))
			tokens = append(tokens, id[:])
		}
		var b batch
		b.exec(upsertUses.of(len(part)), values...)
		b.exec(upsertInstallationUses.of(len(part)), tokens...)
		if err := s.db.send(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// upsertInstallationUses copies the uses of n credentials to their installations, if they have any. The pages show there when
// an app was last used, even after the token that it used was deleted.
var upsertInstallationUses = sizes{text: func(n int) string {
	in := `(` + parameters(1, n) + `)`
	return `INSERT INTO installation_uses (installation_id, used_at)
SELECT i.id, MAX(l.used_at) FROM (
	SELECT id, installation_id FROM tokens WHERE id IN ` + in + ` AND installation_id <> ''
	UNION ALL SELECT id, installation_id FROM expiring_tokens WHERE id IN ` + in + ` AND installation_id <> ''
) t JOIN installations i ON i.id = t.installation_id AND i.removed_at IS NULL JOIN last_used l ON l.id = t.id
WHERE l.used_at > 0 GROUP BY i.id ORDER BY i.id
ON CONFLICT (installation_id) DO UPDATE SET used_at = excluded.used_at WHERE installation_uses.used_at < excluded.used_at`
}}

// upsertUses stores the uses of n credentials, unless a later one is stored.
var upsertUses = sizes{text: func(n int) string {
	var values strings.Builder
	for i := range n {
		if i > 0 {
			values.WriteString(", ")
		}
		fmt.Fprintf(&values, "($%d, $%d)", 2*i+1, 2*i+2)
	}
	return `INSERT INTO last_used (id, used_at) VALUES ` + values.String() + `
ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at WHERE last_used.used_at < excluded.used_at`
}}
