package sqlstore

import "strings"

// searching returns the condition that one of the columns matches the pattern in the parameter. An empty pattern matches
// every row.
func searching(parameter string, columns ...string) string {
	var b strings.Builder
	b.WriteString(` AND (` + parameter + ` = ''`)
	for _, c := range columns {
		b.WriteString(` OR lower(` + c + `) LIKE ` + parameter + ` ESCAPE '!'`)
	}
	return b.String() + `)`
}

// pattern returns the LIKE pattern of a search: the text anywhere in a column, with wildcards escaped. Only ASCII letters are
// folded, as in SQLite's lower().
func pattern(search string) string {
	if search == "" {
		return ""
	}
	folded := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, search)
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(folded) + "%"
}
