package resource

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link  = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	block = regexp.MustCompile("(?ms)^```(go|js|python)\n(.*?)^```$")
	whole = map[string]string{"go": "go/main.go", "js": "javascript/api.mjs", "python": "python/api.py"}
)

// TestDocumentSaysWhatRuns: every excerpt of docs/resource-servers.md stands in the example that the tests run, line by
// line, and every file that it names is there.
func TestDocumentSaysWhatRuns(t *testing.T) {
	t.Parallel()
	const docs = "../../docs"
	text, err := os.ReadFile(filepath.Join(docs, "resource-servers.md"))
	if err != nil {
		t.Fatal(err)
	}
	excerpts := block.FindAllStringSubmatch(string(text), -1)
	if len(excerpts) < 6 {
		t.Fatalf("found %d excerpts; the test looks in the wrong place", len(excerpts))
	}
	for _, e := range excerpts {
		example, err := os.ReadFile(filepath.Join(docs, "examples", whole[e[1]]))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(example), e[2]) {
			t.Errorf("%s does not have these lines:\n%s", whole[e[1]], e[2])
		}
	}
	for _, l := range link.FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join(docs, l[1])); err != nil {
			t.Errorf("a link leads nowhere: %v", err)
		}
	}
}
