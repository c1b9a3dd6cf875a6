package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"xenoauth/store"
)

// usesPerStatement keeps statements far from either database's limit of parameters, and makes most of them the same.
const usesPerStatement = 100

// RecordUse implements store.Usage.
func (s *Store) RecordUse(ctx context.Context, uses map[store.LookupID]time.Time) (err error) {
	defer tried(&err, "record use of %d credentials", len(uses))
	ids := make([]store.LookupID, 0, len(uses))
	for id := range uses {
		ids = append(ids, id)
	}
	// One order for everybody, so that two replicas never wait for each other.
	slices.SortFunc(ids, func(a, b store.LookupID) int { return slices.Compare(a[:], b[:]) })
	for batch := range slices.Chunk(ids, usesPerStatement) {
		args := make([]any, 0, 2*len(batch))
		for _, id := range batch {
			args = append(args, id[:], at(uses[id]))
		}
		if _, err := s.db.exec(ctx, upsertUses(len(batch)), args...); err != nil {
			return err
		}
	}
	return nil
}

// upsertUses is the statement for n credentials. A use that is older than the stored one changes nothing.
func upsertUses(n int) string {
	var values strings.Builder
	for i := range n {
		if i > 0 {
			values.WriteString(", ")
		}
		fmt.Fprintf(&values, "($%d, $%d)", 2*i+1, 2*i+2)
	}
	return `INSERT INTO last_used (id, used_at) VALUES ` + values.String() + `
ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at WHERE last_used.used_at < excluded.used_at`
}
