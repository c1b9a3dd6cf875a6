package sqlstore

import (
	"context"
	"slices"
	"strconv"
)

// operation is a guarded change of one row, the gate, and the statements that follow if the gate changed its row. Postgres
// runs all of it as one statement, a data-modifying WITH, in one round trip. SQLite has no such statement and runs them
// one after another in a transaction, which its single writer makes as good. The text of each is written once, for both.
type operation struct {
	atOnce statement
	gate   statement
	follow []statement
}

// gate is the guarded change of an operation.
type gate struct {
	update    string // of any number of executions, one changes the row
	clock     string // another condition on Postgres: one that asks the database's own clock
	returning string // the columns that follow can read FROM gate
	row       string // FROM and WHERE of the row that the gate changed
}

// then makes a statement that reads the row of the gate.
func (g gate) then(text string) statement {
	return named(`WITH gate AS (SELECT ` + g.returning + ` ` + g.row + `) ` + text)
}

func newOperation(g gate, follow ...string) operation {
	o := operation{gate: named(g.update)}
	atOnce := `WITH gate AS (` + g.update + g.clock + ` RETURNING ` + g.returning + `)`
	for i, text := range follow {
		atOnce += `, step` + strconv.Itoa(i+1) + ` AS (` + text + `)`
		o.follow = append(o.follow, g.then(text))
	}
	o.atOnce = named(atOnce + ` SELECT COUNT(*) FROM gate`)
	return o
}

// run reports whether the gate changed its row.
func (o *operation) run(ctx context.Context, s *Store, values args) (done bool, err error) {
	if s.dialect.consuming {
		n := 0
		err = o.atOnce.row(ctx, s.db, values, &n)
		return n > 0, err
	}
	kept := slices.Clone(values) // so that the caller's can stay on its stack
	err = s.db.transact(ctx, func(ctx context.Context, q querier) (err error) {
		done, err = o.runIn(ctx, s, q, kept)
		return err
	})
	return done && err == nil, err
}

// runIn is run in a transaction that has begun.
func (o *operation) runIn(ctx context.Context, s *Store, q querier, values args) (done bool, err error) {
	if s.dialect.consuming {
		n := 0
		err = o.atOnce.row(ctx, q, values, &n)
		return n > 0, err
	}
	n, err := o.gate.exec(ctx, q, values)
	if err != nil || n == 0 {
		return false, err
	}
	return true, o.finish(ctx, q, values)
}

// finish runs the statements that follow the gate.
func (o *operation) finish(ctx context.Context, q querier, values args) error {
	for i := range o.follow {
		if _, err := o.follow[i].exec(ctx, q, values); err != nil {
			return err
		}
	}
	return nil
}
