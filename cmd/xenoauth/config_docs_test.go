package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestDocumentsNameSettings: docs/operations.md names every setting, and the README and docs name no flag and no variable
// that does not exist.
func TestDocumentsNameSettings(t *testing.T) {
	t.Parallel()
	operations := readDocument(t, "../../docs/operations.md")
	known := map[string]bool{
		"--a-b": true, "XENOAUTH_A_B": true, // any setting
		"--build": true, // docker compose
	}
	for _, d := range definitions() {
		variable := variableName(d.name)
		known[variable], known[variable+"_FILE"] = true, d.secret
		if !regexp.MustCompile(`(--` + d.name + `\b|` + variable + `(\b|_FILE\b))`).MatchString(operations) {
			t.Errorf("docs/operations.md does not name --%s", d.name)
		}
	}
	known["XENOAUTH_A_B_FILE"] = true
	for _, name := range testVariables {
		known[name] = true
	}
	addFlags(known, (&program{}).root())
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(documents) < 5 {
		t.Fatalf("documents: %v, %v", documents, err)
	}
	decisions, err := filepath.Glob("../../docs/decisions/*.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`(?:^|[\s` + "`" + `(])(--[a-z][a-z-]*[a-z]|XENOAUTH_[A-Z_]*[A-Z])\b`)
	for _, path := range append(append(documents, decisions...), "../../README.md") {
		if filepath.Base(path) == "scans.md" { // contains flags of the scanners
			continue
		}
		for _, found := range name.FindAllStringSubmatch(readDocument(t, path), -1) {
			if !known[found[1]] {
				t.Errorf("%s names %s, which does not exist", path, found[1])
			}
		}
	}
}

// addFlags adds the flags of a command and of those below it.
func addFlags(known map[string]bool, cmd *cobra.Command) {
	add := func(f *pflag.Flag) { known["--"+f.Name] = true }
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	cmd.Flags().VisitAll(add)
	cmd.PersistentFlags().VisitAll(add)
	for _, c := range cmd.Commands() {
		addFlags(known, c)
	}
}

func readDocument(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
