package sqlstore

import "strings"

// searching is the condition that one of the columns matches the parameter's pattern; an empty pattern holds for
// every row.
func searching(parameter string, columns ...string) string {
	var b strings.Builder
	b.WriteString(` AND (` + parameter + ` = ''`)
	for _, c := range columns {
		b.WriteString(` OR lower(` + c + `) LIKE ` + parameter + ` ESCAPE '!'`)
	}
	return b.String() + `)`
}

// pattern is the LIKE pattern of a search: the text anywhere in a column, none of it a wildcard. Only ASCII letters are
// folded, since SQLite's lower does no more.
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
