package e2e

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers are the packages from the outermost to the innermost layer. A package may import packages of later layers only, none of
// its own layer (docs/architecture.md).
var layers = [][]string{
	{"cmd/xenoauth"},
	{"server"},
	{"server/oauth", "server/account", "server/portal", "server/platform", "server/admin"},
	{"server/web"},
	{"internal/issuer", "internal/verify", "internal/directory", "internal/jobs"},
	{"internal/signing", "internal/ratelimit"},
	{"store/sqlstore", "migrations"},
	{"store"},
	{"internal/scope", "internal/secret", "internal/confusable"},
	{"templates", "static"},
	{"docs/examples/go"},
	{"bearer"},
}

// neighbours are the exceptions within a layer: the SQL implementation runs the migrations.
var neighbours = map[string]string{"store/sqlstore": "migrations"}

// alone are packages for other modules: they may import the standard library only.
var alone = []string{"bearer"}

// importers are the packages, besides test helpers, that may import a library.
var importers = map[string][]string{
	"github.com/jackc/pgx":        {"store/sqlstore"},
	"modernc.org/sqlite":          {"store/sqlstore"},
	"github.com/pressly/goose":    {"store/sqlstore", "migrations"},
	"github.com/gorilla":          {"server/web"},
	"github.com/go-oauth2/oauth2": {"internal/issuer", "server/oauth"},
	"github.com/go-jose/go-jose":  {"internal/signing"},
	"github.com/spf13":            {"cmd/xenoauth"},
	"github.com/prometheus":       {"server"},
	"golang.org/x/crypto":         {"internal/secret"},
	"golang.org/x/text":           {"internal/confusable", "internal/directory", "internal/secret"},
	"github.com/google/uuid":      {"internal/secret"},
	"database/sql":                {"store/sqlstore", "migrations"},
	"github.com/chromedp":         {},
	"golang.org/x/oauth2":         {},
}

// testPackages are helpers of tests; they may import anything.
var testPackages = []string{"e2e", "bench", "store/storetest", "internal/dbtest", "tools"}

const module = "xenoauth/"

// TestDependencyRule checks the imports of every file that is not a test.
func TestDependencyRule(t *testing.T) {
	root := ".."
	seen := 0
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(relative))
		if slices.ContainsFunc(testPackages, func(p string) bool { return pkg == p || strings.HasPrefix(pkg, p+"/") }) {
			return nil
		}
		seen++
		for _, imported := range importsOf(t, file) {
			checkImport(t, filepath.ToSlash(relative), pkg, imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Fatalf("only %d files were checked", seen)
	}
}

func importsOf(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range parsed.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

func checkImport(t *testing.T, file, pkg, imported string) {
	t.Helper()
	for library, allowed := range importers {
		if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(allowed, pkg) {
			t.Errorf("%s imports %s, which only %v may", file, imported, allowed)
		}
	}
	if imported == "net/http" && strings.HasPrefix(pkg, "internal/") && pkg != "internal/fetch" {
		t.Errorf("%s imports net/http, which under internal/ only internal/fetch may", file)
	}
	target, ours := strings.CutPrefix(imported, module)
	domain, _, _ := strings.Cut(imported, "/")
	if slices.Contains(alone, pkg) && (ours || strings.Contains(domain, ".") || imported == "C") {
		t.Errorf("%s imports %s; %s may import the standard library only", file, imported, pkg)
	}
	if !ours {
		return
	}
	if slices.Contains(testPackages, target) {
		t.Errorf("%s imports %s, which is for tests", file, target)
		return
	}
	from, to := layerOf(pkg), layerOf(target)
	if from < 0 {
		t.Errorf("%s: package %s is in no layer; add it to docs/architecture.md and to this test", file, pkg)
		return
	}
	if to <= from && neighbours[pkg] != target {
		t.Errorf("%s imports %s, which is not in a later layer", file, target)
	}
}

func layerOf(pkg string) int {
	return slices.IndexFunc(layers, func(layer []string) bool { return slices.Contains(layer, pkg) })
}

// TestSQLiteMatchesItsLibc: modernc.org/sqlite works with exactly the libc version that it was generated with, which its
// own go.mod names. Another dependency may ask for a newer one; go.mod excludes that.
func TestSQLiteMatchesItsLibc(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite").Output()
	if err != nil {
		t.Fatal(err)
	}
	want, got := versionIn(t, strings.TrimSpace(string(out)), "modernc.org/libc"), versionIn(t, "../go.mod", "modernc.org/libc")
	if want == "" || got != want {
		t.Errorf("go.mod has modernc.org/libc %q, but modernc.org/sqlite needs %q", got, want)
	}
}

func versionIn(t *testing.T, file, module string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == module {
			return fields[1]
		}
	}
	return ""
}
