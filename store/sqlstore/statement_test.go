package sqlstore

import (
	"slices"
	"strings"
	"testing"
)

func TestNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text, sql string
		names     []string
	}{
		"in order":          {"VALUES (@id, @created_at)", "VALUES ($1, $2)", []string{"id", "created_at"}},
		"used twice":        {"a = @now OR @id = @now", "a = $1 OR $2 = $1", []string{"now", "id"}},
		"beginning alike":   {"@id @id2 @i", "$1 $2 $3", []string{"id", "id2", "i"}},
		"in a quoted text":  {"'@id' || @id || 'it''s @id'", "'@id' || $1 || 'it''s @id'", []string{"id"}},
		"not a name":        {"a @> b AND c @@ d @", "a @> b AND c @@ d @", nil},
		"without parameter": {"SELECT 1", "SELECT 1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := named(test.text)
			if st.sql != test.sql || !slices.Equal(st.names, test.names) {
				t.Errorf("got %q %q, want %q %q", st.sql, st.names, test.sql, test.names)
			}
		})
	}
}

func TestStatementArguments(t *testing.T) {
	t.Parallel()
	st := named("UPDATE t SET a = @a, b = @b WHERE id = @id AND a <> @a")
	want := []any{1, "two", nil}
	for name, values := range map[string]args{
		"in the order of the text": {{"a", 1}, {"b", "two"}, {"id", nil}},
		"in another order":         {{"id", nil}, {"b", "two"}, {"a", 1}},
		"with one more":            {{"x", 9}, {"b", "two"}, {"a", 1}, {"id", nil}},
	} {
		if got, err := st.bind(values); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := st.bind(args{{"a", 1}, {"id", nil}}); err == nil || !strings.Contains(err.Error(), "@b") {
		t.Errorf("without an argument: got error %v, want one that names it", err)
	}
}
