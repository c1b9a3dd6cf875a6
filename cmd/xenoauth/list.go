package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"xenoauth/store"
)

// listDefault is the maximum number of rows of a list without --limit.
const listDefault = 100

// listing holds the flags of a list.
type listing struct {
	limit  int // 0: all
	after  string
	search string
}

// listFlags adds the flags of a list of a growing table. what names the columns that --search covers.
func listFlags(cmd *cobra.Command, what string) *listing {
	l := &listing{}
	flags := cmd.Flags()
	flags.IntVar(&l.limit, "limit", listDefault, "at most this many; 0 for all")
	flags.StringVar(&l.after, "after", "", "continue after this `ID`, the last of the list before")
	flags.StringVar(&l.search, "search", "", "only those with `TEXT` in "+what)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if l.limit < 0 {
			return usageErrorf("--limit is how many rows to list, or 0 for all")
		}
		return nil
	}
	return l
}

// list reads the rows that the flags select, page by page; id returns the id of a row. If there are more, it writes a note to standard
// error.
func list[T any](ctx context.Context, p *program, l *listing, account string, page func(context.Context, store.Page) ([]T, error), id func(T) string) ([]T, error) {
	const most = 500
	all := []T{}
	next := store.Page{After: l.after, Account: account, Search: l.search}
	for {
		next.Limit = most
		if l.limit > 0 { // one more row shows whether there are more
			next.Limit = min(most, l.limit+1-len(all))
		}
		rows, err := page(ctx, next)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		switch {
		case l.limit > 0 && len(all) > l.limit:
			all = all[:l.limit]
			fmt.Fprintf(p.stderr, "There are more. Continue with --after %s, narrow the list with --search, or list all with --limit 0.\n", id(all[len(all)-1]))
			return all, nil
		case len(rows) < next.Limit:
			return all, nil
		}
		next.After = id(rows[len(rows)-1])
	}
}
