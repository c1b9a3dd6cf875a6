package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/crc32"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
)

// The tests in this file compare the contract in docs/ with the code.

// TestEndpointsDocument: docs/endpoints.md lists every route, and marks those that scripts of other origins may call.
func TestEndpointsDocument(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{} // pattern to whether it is marked CORS
	for _, row := range regexp.MustCompile("(?m)^\\| `((?:[A-Z]+ )?/[^`]*)` \\| ([^|]*) ?\\|").FindAllStringSubmatch(read(t, "docs/endpoints.md"), -1) {
		if _, twice := documented[row[1]]; twice {
			t.Errorf("docs/endpoints.md lists %s twice", row[1])
		}
		documented[row[1]] = strings.TrimSpace(row[2]) == "CORS"
	}
	routes := routes(t, "server/routes.go", "server/operations.go")
	if len(routes) < 60 {
		t.Fatalf("found %d routes; the test reads the wrong files", len(routes))
	}
	for pattern, cors := range routes {
		if marked, found := documented[pattern]; !found {
			t.Errorf("docs/endpoints.md does not list %s", pattern)
		} else if marked != cors {
			t.Errorf("%s: CORS is %v, docs/endpoints.md has %v", pattern, cors, marked)
		}
	}
	for pattern := range documented {
		if _, found := routes[pattern]; !found {
			t.Errorf("docs/endpoints.md lists %s, which is not a route", pattern)
		}
	}
}

// routes returns the patterns in these files, each with whether it is mounted for CORS. A pattern is a string that is
// the first argument of a call, alone or after a method.
func routes(t *testing.T, files ...string) map[string]bool {
	t.Helper()
	routes := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			first, second := literal(call.Args[0]), literal(call.Args[1])
			switch {
			case strings.HasPrefix(second, "/"): // cors("GET", "/path", handler)
				routes[first+" "+second] = true
			case regexp.MustCompile(`^([A-Z]+ )?/`).MatchString(first):
				routes[first] = false
				if handler, ok := call.Args[1].(*ast.CallExpr); ok { // mux.Handle("/path", h.web.CORS(…))
					wrapper, ok := handler.Fun.(*ast.SelectorExpr)
					routes[first] = ok && wrapper.Sel.Name == "CORS"
				}
			}
			return true
		})
	}
	return routes
}

func literal(e ast.Expr) string {
	basic, ok := e.(*ast.BasicLit)
	if !ok || basic.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(basic.Value)
	return text
}

// TestErrorsDocument: docs/errors.md lists every error code that the server can send, and no other.
func TestErrorsDocument(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(read(t, "docs/errors.md"), -1) {
		documented[row[1]] = true
	}
	inCode := map[string]bool{}
	collect := func(file, expression string) {
		for _, found := range regexp.MustCompile(expression).FindAllStringSubmatch(read(t, file), -1) {
			inCode[found[1]] = true
		}
	}
	collect("internal/issuer/errors.go", `= +"([a-z_]+)"`)
	for _, file := range tracked(t, "server/*.go") {
		if !strings.HasSuffix(file, "_test.go") {
			collect(file, `(?:Code: +|http\.Status\w+: +\{)"([a-z_]+)"`)
		}
	}
	if len(inCode) < 15 {
		t.Fatalf("found %d codes: %v; the test reads the wrong files", len(inCode), slices.Sorted(maps.Keys(inCode)))
	}
	for c := range inCode {
		if !documented[c] {
			t.Errorf("docs/errors.md does not list %s", c)
		}
	}
	for c := range documented {
		if !inCode[c] {
			t.Errorf("docs/errors.md lists %s, which the server does not send", c)
		}
	}
}

// TestCredentialsDocument: docs/credentials.md lists the letter of every kind, its test vector is well formed, and its
// expression for scanners matches what is made.
func TestCredentialsDocument(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/credentials.md")
	letters := ""
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w)` \\|").FindAllStringSubmatch(text, -1) {
		letters += row[1]
	}
	blocks := regexp.MustCompile("(?s)```\n(.*?)\n```").FindAllStringSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d code blocks, want the test vector and the expression", len(blocks))
	}
	vector, scanner := blocks[0][1], regexp.MustCompile(blocks[1][1])
	for b := range 256 {
		kind := secret.Kind(b)
		if kind.Valid() != strings.ContainsRune(letters, rune(b)) {
			t.Errorf("letter %q: a kind is %v, docs/credentials.md has the letters %s", rune(b), kind.Valid(), letters)
		}
		if kind.Valid() {
			made := secret.Format{}.New(kind).Reveal()
			if got := scanner.FindString("key = " + made + "\n"); got != made {
				t.Errorf("the expression finds %q in the text of a %s", got, kind)
			}
		}
	}
	if _, ok := (secret.Format{}).Parse(vector); !ok {
		t.Error("the test vector is not a credential")
	}
	if sum, text := base62(crc32.ChecksumIEEE([]byte(vector[:len(vector)-6]))), vector[len(vector)-6:]; sum != text {
		t.Errorf("by the description the checksum of the test vector is %s, not %s", sum, text)
	}
}

// base62 writes n as docs/credentials.md describes it.
func base62(n uint32) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	text := make([]byte, 6)
	for i := range slices.Backward(text) {
		text[i], n = alphabet[n%62], n/62
	}
	return string(text)
}

// TestScopesDocuments: the examples of docs/scopes-file.md are accepted or built in, and the tables of scopes and
// permissions are the built-in ones.
func TestScopesDocuments(t *testing.T) {
	t.Parallel()
	text, builtIn := read(t, "docs/scopes-file.md"), scope.Default()
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) != 3 {
		t.Fatalf("%d examples, want a file, a row and a scope", len(blocks))
	}
	if _, err := scope.LoadCatalogue(strings.NewReader(blocks[0][1])); err != nil {
		t.Errorf("the smallest file: %v", err)
	}
	catalogue := strings.Join(strings.Fields(read(t, "internal/scope/catalogue.json")), " ")
	for _, block := range blocks[1:] {
		if !strings.Contains(catalogue, strings.Join(strings.Fields(block[1]), " ")) {
			t.Errorf("the built-in catalogue does not contain %s", block[1])
		}
	}
	for _, name := range builtIn.Names() {
		s, _ := builtIn.Scope(name)
		row := fmt.Sprintf("| `%s` | %s | %s | %s |", s.Name, quoted(s.Aliases), s.Sensitivity, quoted(s.Permissions))
		if !strings.Contains(text, row+"\n") {
			t.Errorf("docs/scopes-file.md lacks the row %s", row)
		}
	}
	var matrix strings.Builder
	for _, row := range builtIn.Matrix() {
		fmt.Fprintf(&matrix, "| %s |", row.Name)
		for _, role := range scope.Roles() {
			mark := "-"
			if slices.Contains(row.Roles, role) {
				mark = "+"
			}
			fmt.Fprintf(&matrix, " %s |", mark)
		}
		matrix.WriteByte('\n')
	}
	if !strings.Contains(read(t, "docs/dialects.md"), "\n"+matrix.String()+"\n") {
		t.Errorf("the matrix of docs/dialects.md is not the built-in one:\n%s", matrix.String())
	}
}

func quoted[S ~string](names []S) string {
	marked := make([]string, len(names))
	for i, name := range names {
		marked[i] = "`" + string(name) + "`"
	}
	return strings.Join(marked, ", ")
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	markdownFile = regexp.MustCompile(`[\w./-]*\w\.md\b`)
	heading      = regexp.MustCompile(`(?m)^#+ (.*)$`)
	codeBlock    = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
)

// TestCitedFilesExist: every Markdown file that a file of the tree names is in the tree, and every link of a document leads
// to a file and a heading.
func TestCitedFilesExist(t *testing.T) {
	t.Parallel()
	files := tracked(t)
	inTree := map[string]bool{}
	for _, file := range files {
		for ; file != "."; file = filepath.Dir(file) {
			inTree[file] = true
		}
	}
	read := func(file string) string { return read(t, file) }
	checked := 0
	for _, file := range files {
		if regexp.MustCompile(`\.(png|svg|txt|sum)$`).MatchString(file) {
			continue
		}
		text := read(file)
		for _, cited := range markdownFile.FindAllString(text, -1) {
			checked++
			end := "/" + strings.TrimLeft(cited, "./")
			if !slices.ContainsFunc(files, func(f string) bool { return strings.HasSuffix("/"+f, end) }) {
				t.Errorf("%s cites %s, which is not in the tree", file, cited)
			}
		}
		if !strings.HasSuffix(file, ".md") {
			continue
		}
		for _, link := range markdownLink.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, ":") {
				continue
			}
			if target = filepath.Join(filepath.Dir(file), target); link[1][0] == '#' {
				target = file
			}
			if !inTree[target] {
				t.Errorf("%s links to %s, which is not in the tree", file, link[1])
			} else if anchor != "" && !slices.Contains(anchors(read(target)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", file, link[1])
			}
		}
	}
	if checked < 50 {
		t.Fatalf("found %d citations; the test reads the wrong files", checked)
	}
}

// anchors returns the names by which the headings of a document can be linked to.
func anchors(markdown string) []string {
	var names []string
	for _, h := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(markdown, ""), -1) {
		name := regexp.MustCompile(`[^\w\s-]`).ReplaceAllString(strings.ToLower(h[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

// tracked returns the files of the repository that match, all of them without a pattern, as paths from its root.
func tracked(t *testing.T, patterns ...string) []string {
	t.Helper()
	list := exec.Command("git", append([]string{"ls-files", "-z", "--"}, patterns...)...)
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if _, err := os.Stat(filepath.Join("..", name)); err == nil { // not one that is being removed
			files = append(files, name)
		}
	}
	return files
}

// read returns a file, by its path from the root of the repository.
func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
