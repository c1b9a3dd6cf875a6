package sqlstore_test

import (
	"errors"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

const (
	addFact   = `INSERT INTO database_facts (name, value) VALUES ($1, $2)`
	changeIt  = `UPDATE database_facts SET value = value + 1 WHERE name = $1`
	countFact = `SELECT COUNT(*) FROM database_facts WHERE name LIKE 'test%'`
)

func eachStore(t *testing.T, test func(t *testing.T, st *sqlstore.Store)) {
	dbtest.EachURL(t, func(t *testing.T, databaseURL string) { test(t, dbtest.Open(t, databaseURL)) })
}

func wantFacts(t *testing.T, st *sqlstore.Store, want int) {
	t.Helper()
	if got, err := st.Count(t.Context(), countFact); err != nil || got != want {
		t.Fatalf("got %d facts, %v, want %d", got, err, want)
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, st *sqlstore.Store) {
		var b sqlstore.Batch
		b.Exec(addFact, "test 1", 1)
		b.Exec(addFact, "test 2", 2)
		changed := b.Exec(`UPDATE database_facts SET value = 3 WHERE name LIKE 'test%'`)
		if err := st.Send(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if changed() != 2 { // it sees the rows that the statements before it added
			t.Errorf("got %d rows changed, want 2", changed())
		}
		wantFacts(t, st, 2)
	})
}

func TestBatch_OutsideATransactionIsOne(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, st *sqlstore.Store) {
		var b sqlstore.Batch
		b.Exec(addFact, "test 1", 1)
		b.Exec(addFact, "test 1", 2)
		b.Exec(addFact, "test 3", 2)
		if err := sqlstore.Classify(st.Send(t.Context(), b)); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("got error %v, want ErrConflict", err)
		}
		wantFacts(t, st, 0)
	})
}

func TestBatch_StatementThatMustChangeARow(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, st *sqlstore.Store) {
		var b sqlstore.Batch
		b.Exec(addFact, "test 1", 1)
		b.ExecOrElse(store.ErrEnded, changeIt, "test 2")
		b.Exec(addFact, "test 1", 1) // would be a conflict: the first error counts
		if err := st.SendInTransaction(t.Context(), b); !errors.Is(err, store.ErrEnded) {
			t.Fatalf("got error %v, want ErrEnded", err)
		}
		wantFacts(t, st, 0)
		if err := st.Send(t.Context(), b); err == nil || errors.Is(err, store.ErrEnded) {
			t.Fatalf("outside a transaction: got error %v, want a refusal", err)
		}
		wantFacts(t, st, 0)
		if err := st.SendInTransaction(t.Context(), b[:1]); err != nil {
			t.Fatal(err)
		}
		wantFacts(t, st, 1)
	})
}

func TestBatch_InvalidText(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, st *sqlstore.Store) {
		var b sqlstore.Batch
		b.Exec(addFact, "test 1", 1)
		b.Exec(addFact, "test\x00", 1)
		if err := st.Send(t.Context(), b); !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("got error %v, want ErrInvalid", err)
		}
		wantFacts(t, st, 0)
	})
}
