package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const environmentPrefix = "XENOAUTH_"

// testVariables are read by the tests of this repository. A developer may export them.
var testVariables = []string{"XENOAUTH_REQUIRE_ALL", "XENOAUTH_SCREENSHOTS"}

// serviceVariable matches the variables that Kubernetes sets in each container for a Service whose name begins with xenoauth. Names
// such as XENOAUTH_PORT match only with the values that Kubernetes gives them.
var (
	serviceVariable = regexp.MustCompile(`^XENOAUTH_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_[0-9]+_TCP(?:_[A-Z]+)?)$`)
	servicePort     = regexp.MustCompile(`^XENOAUTH_(?:[A-Z0-9_]+_)?PORT$`)
)

// variableName returns the environment variable of a setting.
func variableName(setting string) string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// checkEnvironment refuses variables that look like settings but are not. A misspelt setting that was ignored would leave the
// default in force, such as an empty SQLite file in place of the database.
func (p *program) checkEnvironment(s *settings, known []definition) {
	if p.environ == nil {
		return
	}
	var names []string
	for _, d := range known {
		names = append(names, variableName(d.name))
		if d.secret {
			names = append(names, variableName(d.name)+"_FILE")
		}
	}
	var unknown []string
	for _, entry := range p.environ() {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case !strings.HasPrefix(name, environmentPrefix), slices.Contains(names, name), slices.Contains(testVariables, name):
		case serviceVariable.MatchString(name), servicePort.MatchString(name) && strings.HasPrefix(value, "tcp://"):
		default:
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range slices.Compact(unknown) {
		s.faults = append(s.faults, fmt.Sprintf("%s: there is no such setting%s", name, hint(name, names)))
	}
}

// hint completes a sentence about an unknown name. It states that only secrets are read from files, or suggests the nearest name.
func hint(name string, known []string) string {
	for _, suffix := range []string{"_FILE", "-file"} {
		if base, found := strings.CutSuffix(name, suffix); found && slices.Contains(known, base) {
			return fmt.Sprintf(": only a secret may be given as a file, so set %s itself", base)
		}
	}
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return `; "xenoauth serve --help" lists the settings`
}

// nearest returns the known name closest to name, or "" if all differ in more than half of their characters. Case, - and _ do not
// count as differences.
func nearest(name string, known []string) string {
	plain := func(text string) string {
		return strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(text), "-", "_"), "xenoauth_")
	}
	best, least := "", len(name)
	for _, candidate := range known {
		a, b := plain(name), plain(candidate)
		if d := distance(a, b); d < least && d <= max(len(a), len(b))/2 {
			best, least = candidate, d
		}
	}
	return best
}

// distance returns the number of insertions, deletions, replacements and swaps of neighbours that turn one text into the other
// (Damerau–Levenshtein).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range b {
		rows[0][j+1] = j + 1
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
