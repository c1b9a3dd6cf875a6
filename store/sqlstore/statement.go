package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// statement is SQL whose parameters have names: @name in the text. The names are replaced by $1, $2 … once, when the
// package is initialised, because both drivers would otherwise parse the text again for each call. Statements with up to
// four parameters are plain strings that number them.
type statement struct {
	sql   string
	names []string // names[i] is the name of $(i+1)
}

// named makes a statement. A name is lower-case letters, digits and underscores; in a quoted text, @ is only a character.
func named(text string) statement {
	var sql strings.Builder
	var st statement
	quoted := false
	for i := 0; i < len(text); i++ {
		if text[i] == '\'' {
			quoted = !quoted
		}
		end := i + 1
		for !quoted && text[i] == '@' && end < len(text) && inName(text[end]) {
			end++
		}
		if end == i+1 {
			sql.WriteByte(text[i])
			continue
		}
		sql.WriteString("$" + strconv.Itoa(st.number(text[i+1:end])))
		i = end - 1
	}
	st.sql = sql.String()
	return st
}

func inName(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' }

// number returns the number of a name, a new one on its first use.
func (st *statement) number(name string) int {
	for i, n := range st.names {
		if n == name {
			return i + 1
		}
	}
	st.names = append(st.names, name)
	return len(st.names)
}

// args are the arguments of a statement by name. There may be more than the statement uses, so that several statements
// can share them.
type args []struct {
	name  string
	value any
}

// bind puts the arguments in the order of their numbers.
func (st *statement) bind(values args) ([]any, error) {
	list := make([]any, len(st.names))
	for i, name := range st.names {
		at := i // where they are written in the order of the statement
		if at >= len(values) || values[at].name != name {
			at = values.index(name)
		}
		if at < 0 {
			return nil, fmt.Errorf("no argument for @%s in: %s", name, st.sql)
		}
		list[i] = values[at].value
	}
	return list, nil
}

func (a args) index(name string) int {
	for i := range a {
		if a[i].name == name {
			return i
		}
	}
	return -1
}

// exec runs the statement and returns how many rows it changed.
func (st *statement) exec(ctx context.Context, q querier, values args) (int64, error) {
	list, err := st.bind(values)
	if err != nil {
		return 0, err
	}
	return q.exec(ctx, st.sql, list...)
}

// row scans the first row into dest; without one it is sql.ErrNoRows.
func (st *statement) row(ctx context.Context, q querier, values args, dest ...any) error {
	list, err := st.bind(values)
	if err != nil {
		return err
	}
	return q.row(ctx, st.sql, list, dest...)
}

// sizes holds the texts of a statement that depends on a number, such as the length of a list of values. Each text is made
// once.
type sizes struct {
	text func(n int) string
	made sync.Map // text by number
}

func (s *sizes) of(n int) string {
	if text, found := s.made.Load(n); found {
		return text.(string)
	}
	text, _ := s.made.LoadOrStore(n, s.text(n))
	return text.(string)
}

// queue adds the statement to a batch.
func (st *statement) queue(b *batch, values args) *queued {
	list, err := st.bind(values)
	q := b.exec(st.sql, list...)
	q.err = err
	return q
}

// parameters is a list of n parameters that starts at $first.
func parameters(first, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "$" + strconv.Itoa(first+i)
	}
	return strings.Join(list, ", ")
}
