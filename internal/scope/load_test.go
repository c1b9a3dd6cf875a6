package scope

import (
	"fmt"
	"strings"
	"testing"
)

// scopeJSON returns a valid scope, followed by more fields.
func scopeJSON(name, more string) string {
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf(`{"name": %q, "title": "T", "description": "D.", "sensitivity": "low"%s}`, name, more)
}

// oneScope and twoScopes return whole files, with more fields for each scope.
func oneScope(more string) string { return `{"scopes": [` + scopeJSON("a", more) + `]}` }

func twoScopes(a, b string) string {
	return `{"scopes": [` + scopeJSON("a", a) + "," + scopeJSON("b", b) + `]}`
}

// faulty maps a test name to a file and parts of the errors expected for it, in order.
type faulty map[string]struct {
	text string
	want []string
}

func (files faulty) check(t *testing.T) {
	t.Helper()
	for name, tt := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := LoadCatalogue(strings.NewReader(tt.text))
			if err == nil || c != nil {
				t.Fatal("accepted")
			}
			got := strings.Split(err.Error(), "\n")
			if len(got) != len(tt.want) {
				t.Fatalf("%d faults, want %d:\n%v", len(got), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("fault %d is %q, want %q", i+1, got[i], want)
				}
			}
		})
	}
}

func TestLoadCatalogue_FileFaults(t *testing.T) {
	t.Parallel()
	faulty{
		"not JSON":      {"{\n\n!}", []string{"line 3"}},
		"empty":         {"", []string{"line 1"}},
		"trailing text": {oneScope("") + "x", []string{"after top-level value"}},
		"not UTF-8":     {oneScope(`"note": "` + "\xff" + `"`), []string{"UTF-8"}},
		"a megabyte":    {oneScope("") + strings.Repeat(" ", 1<<20), []string{"more than 1048576 bytes"}},
		"a list":        {"[]", []string{"file: must be an object", "at least one is required"}},
		"no scopes":     {"{}", []string{"scopes: at least one is required"}},
		"several faults": {
			`{"x": 1, "scopes": [` + scopeJSON("a", `"y": 1, "aliases": ["b"], "implies": ["q"]`) + "," + scopeJSON("b", `"permissions": ["z"]`) + `]}`,
			[]string{`file: "x"`, `scope "a": "y"`, `scope "a": aliases`, `scope "b": permissions`, `scope "a": implies`},
		},
	}.check(t)
}

func TestLoadCatalogue_ScopeFaults(t *testing.T) {
	t.Parallel()
	faulty{
		"unknown part":          {`{"scope": [], "scopes": [` + scopeJSON("a", "") + `]}`, []string{`"scope": unknown field`}},
		"unknown field":         {oneScope(`"colour": "red"`), []string{`scope "a": "colour": unknown field`}},
		"field in capitals":     {oneScope(`"Title": "T"`), []string{`scope "a": "Title": unknown field`}},
		"field twice":           {oneScope(`"note": "x", "note": "y"`), []string{`scope "a": note: duplicate field`}},
		"text for a list":       {oneScope(`"aliases": "b"`), []string{`scope "a": aliases: must be a list of strings`}},
		"text for a bool":       {oneScope(`"needs_user": "no"`), []string{`scope "a": needs_user: must be true or false`}},
		"scope is a text":       {`{"scopes": ["a"]}`, []string{"scope 1 (unnamed): must be an object", "name: ", "title: ", "description: ", "sensitivity: "}},
		"no name":               {`{"scopes": [` + scopeJSON("", "") + `]}`, []string{`scope 1 (unnamed): name: "" is empty`}},
		"name with a space":     {`{"scopes": [` + scopeJSON("a b", "") + `]}`, []string{`scope "a b": name: "a b" is empty or contains a character`}},
		"name beyond ASCII":     {`{"scopes": [` + scopeJSON("é", "") + `]}`, []string{`scope "é": name: `}},
		"long name":             {`{"scopes": [` + scopeJSON(strings.Repeat("x", 65), "") + `]}`, []string{"longer than 64"}},
		"name of a role":        {`{"scopes": [` + scopeJSON("admin", "") + `]}`, []string{`scope "admin": name: "admin" is already the name of a role`}},
		"name twice":            {`{"scopes": [` + scopeJSON("a", "") + "," + scopeJSON("a", "") + `]}`, []string{`scope "a": name: "a" is already the name of a scope`}},
		"alias is a later name": {twoScopes(`"aliases": ["b"]`, ""), []string{`scope "a": aliases: "b" is already the name of a scope`}},
		"alias is its own name": {oneScope(`"aliases": ["a"]`), []string{`scope "a": aliases: "a" is already the name of a scope`}},
		"alias is an alias":     {twoScopes(`"aliases": ["c"]`, `"aliases": ["c"]`), []string{`scope "b": aliases: "c" is already an alias`}},
		"alias is a role":       {oneScope(`"aliases": ["guest"]`), []string{`aliases: "guest" is already the name of a role`}},
		"alias with a quote":    {oneScope(`"aliases": ["\""]`), []string{`scope "a": aliases: `}},
	}.check(t)
}

func TestLoadCatalogue_ImplicationFaults(t *testing.T) {
	t.Parallel()
	faulty{
		"unknown scope":        {oneScope(`"implies": ["x"]`), []string{`scope "a": implies: "x" is not the name of a scope`}},
		"alias":                {twoScopes(`"implies": ["c"]`, `"aliases": ["c"]`), []string{`scope "a": implies: "c" is not the name of a scope`}},
		"itself":               {oneScope(`"implies": ["a"]`), []string{`scope "a": implies: implication cycle: a → a`}},
		"cycle":                {twoScopes(`"implies": ["b"]`, `"implies": ["a"]`), []string{`implies: implication cycle: a → b → a`}},
		"implied needs a user": {twoScopes(`"implies": ["b"]`, `"needs_user": true`), []string{`scope "a": needs_user: must be true`}},
		"unknown permission":   {oneScope(`"permissions": ["contact:read"]`), []string{`scope "a": permissions: "contact:read" is not a permission`}},
		"permission twice":     {oneScope(`"permissions": ["form:list", "form:list"]`), []string{`scope "a": permissions: "form:list" is listed twice`}},
		"bidi control":         {strings.Replace(oneScope(""), `"T"`, "\"T\u202e\"", 1), []string{`scope "a": title: contains an unprintable character`}},
		"newline":              {strings.Replace(oneScope(""), `"D."`, `"D.\nE"`, 1), []string{`scope "a": description: contains an unprintable character`}},
		"long title":           {strings.Replace(oneScope(""), `"T"`, `"`+strings.Repeat("T", 81)+`"`, 1), []string{`title: must not be longer than 80`}},
		"unknown sensitivity":  {strings.Replace(oneScope(""), `"low"`, `"Low"`, 1), []string{`scope "a": sensitivity: must be low, medium or high`}},
	}.check(t)
}

func TestLoadCatalogue_MatrixFaults(t *testing.T) {
	t.Parallel()
	row := func(from, to string) string {
		if !strings.Contains(defaultFile, from) {
			t.Fatalf("the default file does not contain %s", from)
		}
		return strings.Replace(defaultFile, from, to, 1)
	}
	const forms = `"row": "fetch form", "permissions": ["form:fetch"], "roles": ["admin"]`
	faulty{
		"roles in another order":  {row(`"name": "guest"`, `"name": "agent"`), []string{"roles: must be guest, agent, bot, admin, in this order"}},
		"empty roles":             {`{"roles": [], "scopes": [` + scopeJSON("a", "") + `]}`, []string{"roles: must be guest"}},
		"role without title":      {row(`"title": "Guest"`, `"title": ""`), []string{`role "guest": title: must not be empty`}},
		"roles do not cascade":    {row(forms, strings.Replace(forms, `["admin"]`, `["agent", "admin"]`, 1)), []string{`row "fetch form": roles: "bot" is missing although "agent" is listed`}},
		"unknown role":            {row(forms, strings.Replace(forms, `["admin"]`, `["admin", "root"]`, 1)), []string{`row "fetch form": roles: "root" is not a role`}},
		"role twice":              {row(forms, strings.Replace(forms, `["admin"]`, `["admin", "admin"]`, 1)), []string{`row "fetch form": roles: "admin" is listed twice`}},
		"permission of no row":    {row(`["form:fetch"]`, `["form:fetcH"]`), []string{`row "fetch form": permissions: "form:fetcH" is not`, `matrix: "form:fetch" is in no row`}},
		"permission of two rows":  {row(`["form:fetch"]`, `["form:fetch", "form:list"]`), []string{`row "fetch form": permissions: "form:list" is already in row "list forms"`}},
		"row without permissions": {row(`["form:fetch"]`, `[]`), []string{`row "fetch form": permissions: must not be empty`, "in no row"}},
		"row twice":               {row(`"row": "fetch form"`, `"row": "list forms"`), []string{`row "list forms": row: duplicate name`}},
	}.check(t)
}

func TestLoadCatalogue_Limits(t *testing.T) {
	t.Parallel()
	many := func(n int, name string) string {
		var scopes []string
		for i := range n {
			scopes = append(scopes, scopeJSON(fmt.Sprintf(name, i), ""))
		}
		return `{"scopes": [` + strings.Join(scopes, ",") + `]}`
	}
	c := mustLoad(t, many(100, "s%d"))
	if _, err := ParseSet(strings.Join(c.Names(), " ")); err != nil {
		t.Errorf("a request cannot name all scopes of a catalogue: %v", err)
	}
	for name, text := range map[string]string{"101 scopes": many(101, "s%d"), "2000 bytes": many(50, "a-name-that-is-some-forty-characters-%03d")} {
		if _, err := LoadCatalogue(strings.NewReader(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzLoadCatalogue(f *testing.F) {
	f.Add(defaultFile)
	f.Add(layered)
	f.Add(`{"scopes": [` + scopeJSON("a", `"implies": ["a"]`) + `]}`)
	f.Add(`{"scopes": [null, 1, {}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := LoadCatalogue(strings.NewReader(text))
		if err != nil {
			return
		}
		all, err := NewSet(c.Names()...)
		if err != nil {
			t.Fatalf("the names are not a valid set: %v", err)
		}
		if !c.Expand(all).Equal(all) || len(c.Describe(all)) != all.Len() {
			t.Error("the scopes are not closed under what they imply")
		}
	})
}
