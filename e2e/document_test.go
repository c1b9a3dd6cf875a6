package e2e

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"xenoauth/e2e/faults"
)

var update = flag.Bool("update", false, "write docs/battery.md")

const document = "../docs/battery.md"

// required are the rows that must have a test.
var required = strings.Fields(`
A1 A3 A4 A5 A6 A7 A8 A10 A11 A12 A13 A14 A16 A17 A18 A19 A20 A22 A23 A24
S1 S2 S3 S4 S5 S6 S7
P1 P2 P4 P5 P6 P7 P8 P9
C1 C2 C3 C4 C5 C6 C7 C8 C9 C10
K1 K3 K4 K5 K6 K7 K8 K9 K10
T1 T2 T3 T5
R1 R2 R3 R4 R5 R6
V1 V2 V4 V6 V7
I1 I2 I3 I4 I6
B1 B2 B3 B4 B5
D8 D9 D10
W1 W2 W3 W4 W5 W6 W8 W9 W10 W11 W12 W14
L1 L2 L3 L4 L8
H1 H2 H3 H4 H5 H8
G1 G2 G3 G4 G5
J1 J2 J3 J4 J5 J6 J7
N1 N2 N3 N4 N5 N6 N7 N8 N9 N10 N11 N12
U1 U2 U3 U4
F1 F2 F3 F5 F6 F7 F9 F16 F18 F21 F22
`)

var groups = []struct{ letter, title string }{
	{"A", "Authorize: error page or redirect"},
	{"S", "State, issuer, scope"},
	{"P", "PKCE"},
	{"C", "Authorization code"},
	{"K", "Client authentication"},
	{"T", "Token endpoint"},
	{"R", "Refresh"},
	{"V", "Revocation"},
	{"I", "Introspection"},
	{"B", "Bearer use"},
	{"D", "Registration and portal"},
	{"W", "Browser"},
	{"L", "Log-in"},
	{"H", "HTTP"},
	{"G", "Logs and data"},
	{"J", "Keys and integration"},
	{"N", "What pages state is true"},
	{"U", "Limits on what one user or address can cost"},
	{"F", "Faults"},
}

// row is a test of the battery.
type row struct {
	id   string
	text string // the request and the required answer, from the test's doc comment
	file string
}

// TestBatteryDocument keeps docs/battery.md equal to the tests, and every required row present.
func TestBatteryDocument(t *testing.T) {
	rows := readRows(t)
	addFaults(rows)
	for _, id := range required {
		if _, ok := rows[id]; !ok {
			t.Errorf("row %s has no test; add one whose name or subtest has the id (see readRows)", id)
		}
	}
	want := render(rows)
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/battery.md differs from the tests; run make docs")
	}
}

var (
	// rowTest is the name of a test that is one row.
	rowTest = regexp.MustCompile(`^Test[A-Za-z0-9]+_([A-Z][0-9]+)$`)
	// rowText is a row in the doc comment of a test of several: a paragraph that begins with its id.
	rowText = regexp.MustCompile(`^([A-Z][0-9]+): `)
	// rowName is a string that names a subtest after a row.
	rowName = regexp.MustCompile("^[`\"]([A-Z][0-9]+)[ `\"]")
)

// readRows reads the rows from the tests: a test whose name ends with the id of a row is that row, and its doc comment the
// text. A test of several rows has a paragraph for each in its doc comment, which begins with the id, and a subtest in the
// same file whose name begins with it.
func readRows(t *testing.T) map[string]row {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*_test.go", "*/*_test.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	rows := map[string]row{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		subtests := map[string]bool{}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if m := rowName.FindStringSubmatch(literal.Value); m != nil {
					subtests[m[1]] = true
				}
			}
			return true
		})
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			for id, text := range rowsOf(f) {
				switch other, twice := rows[id]; {
				case text == "":
					t.Errorf("%s has no doc comment that states the request and the answer", f.Name.Name)
				case twice:
					t.Errorf("row %s is tested in %s and in %s; make them one", id, other.file, file)
				case rowTest.FindStringSubmatch(f.Name.Name) == nil && !subtests[id]:
					t.Errorf("%s: no subtest is named after row %s of %s", file, id, f.Name.Name)
				}
				rows[id] = row{id: id, text: text, file: "e2e/" + filepath.ToSlash(file)}
			}
		}
	}
	return rows
}

// rowsOf is the text of each row of a test.
func rowsOf(f *ast.FuncDecl) map[string]string {
	oneLine := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	if m := rowTest.FindStringSubmatch(f.Name.Name); m != nil {
		return map[string]string{m[1]: oneLine(strings.TrimPrefix(f.Doc.Text(), f.Name.Name+":"))}
	}
	rows := map[string]string{}
	for paragraph := range strings.SplitSeq(f.Doc.Text(), "\n\n") {
		if m := rowText.FindStringSubmatch(paragraph); m != nil {
			rows[m[1]] = oneLine(strings.TrimPrefix(paragraph, m[0]))
		}
	}
	return rows
}

// addFaults adds the rows that e2e/faults runs, with their databases, and F9, which TestOutage runs on a disk of its own.
func addFaults(rows map[string]row) {
	for _, database := range []string{"Postgres", "SQLite"} {
		short := map[string]bool{}
		for _, f := range faults.Short(database) {
			short[f.Name] = true
		}
		for _, f := range faults.Long(database) {
			run := "make faults"
			if short[f.Name] {
				run = "make test, longer in make faults"
			}
			r := rows[f.Name]
			if r.text != "" {
				r.text += "; "
			}
			rows[f.Name] = row{id: f.Name, text: r.text + f.Title + " (" + database + ": " + run + ")", file: "docs/faults.md"}
		}
	}
	rows["F9"] = row{id: "F9", text: "disk full for data and journal of Postgres, for SQLite, and for the log: 503, nothing acknowledged is lost, and all works " +
		"once there is space again (TestOutage)", file: "e2e/outage_disk_test.go"}
}

func render(rows map[string]row) string {
	var b strings.Builder
	b.WriteString("# The battery\n\nGenerated from the tests by `make docs`; do not edit. Each row is a test through the real routes, on both\ndatabases where state matters. Where the product deviates from the original battery is in\n[decisions/battery.md](decisions/battery.md).\n")
	for _, g := range groups {
		var of []row
		for _, r := range rows {
			if strings.HasPrefix(r.id, g.letter) {
				of = append(of, r)
			}
		}
		if len(of) == 0 {
			continue
		}
		slices.SortFunc(of, func(x, y row) int { return number(x.id) - number(y.id) })
		fmt.Fprintf(&b, "\n## %s. %s\n\n| row | request and required answer | test |\n| --- | --- | --- |\n", g.letter, g.title)
		for _, r := range of {
			fmt.Fprintf(&b, "| %s | %s | [%s](../%s) |\n", r.id, strings.ReplaceAll(r.text, "|", "\\|"), filepath.Base(r.file), r.file)
		}
	}
	return b.String()
}

func number(id string) int {
	n, _ := strconv.Atoi(id[1:])
	return n
}
