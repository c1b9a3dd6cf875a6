package main

import (
	"golang.org/x/term"

	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"xenoauth/internal/directory"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// explain formats an error for the operator.
func explain(cmd *cobra.Command, err error) string {
	var faults directory.FieldErrors
	switch {
	case errors.As(err, &faults):
		return strings.Join(faultLines(cmd, faults), "\n")
	case errors.Is(err, sqlstore.ErrPooler), errors.Is(err, sqlstore.ErrRights):
		return err.Error()
	case errors.Is(err, store.ErrReadOnly):
		return err.Error() + "\nThe database answers and takes no writes. Was there a failover, and does --database-url lead to the primary?"
	case errors.Is(err, store.ErrTimeout):
		return err.Error() + "\nThe database answers, but did not finish this in time. Is it busy, does another session hold a lock, or do the timeouts in --database-url leave too little time?"
	case errors.Is(err, store.ErrUnavailable):
		return err.Error() + "\nThe database could not be asked. Is it running, and is --database-url right?"
	case errors.Is(err, store.ErrEnded):
		return err.Error() + "\nSomething that this depends on was disabled or removed."
	}
	return err.Error()
}

// otherNames maps fields to the names of their flags, where they differ.
var otherNames = map[string]string{"logo_url": "logo-url", "redirect_uris": "redirect-uri", "scopes": "scope"}

// faultLines formats field errors with the names that the fields have on the command line: a flag, an argument, or standard input.
func faultLines(cmd *cobra.Command, faults directory.FieldErrors) []string {
	var lines []string
	for _, fieldName := range slices.Sorted(maps.Keys(faults)) {
		name, found := otherNames[fieldName]
		if !found {
			name = fieldName
		}
		switch argument := strings.ToUpper(name); {
		case cmd.Flags().Lookup(name) != nil:
			name = "--" + name
		case slices.Contains(strings.Fields(cmd.Use), argument):
			name = argument
		}
		lines = append(lines, name+": "+faults[fieldName])
	}
	return lines
}

// jsonTime is a time in JSON: RFC 3339 in UTC, or null for never.
type jsonTime time.Time

// MarshalJSON writes null for the zero time.
func (m jsonTime) MarshalJSON() ([]byte, error) {
	if time.Time(m).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(time.Time(m).UTC().Format(time.RFC3339Nano))
}

// String formats the time to the second, or as a dash.
func (m jsonTime) String() string {
	if time.Time(m).IsZero() {
		return "-"
	}
	return time.Time(m).UTC().Format("2006-01-02 15:04:05")
}

// jsonFlag adds --json.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON")
}

// printJSON writes v indented, without HTML escaping.
func (p *program) printJSON(v any) error {
	encoder := json.NewEncoder(p.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// printRows writes a table. Every row must have as many cells as the head.
func (p *program) printRows(head []string, rows [][]string) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// field is one line of the output of a show command.
type field struct{ name, value string }

// printFields writes names and values in two columns. Further lines of a value are aligned with its first.
func (p *program) printFields(fields ...field) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		for i, line := range strings.Split(f.value, "\n") {
			if i > 0 {
				f.name = ""
			}
			fmt.Fprintf(w, "%s\t%s\n", f.name, line)
		}
	}
	return w.Flush()
}

// printLine writes one line of text.
func (p *program) printLine(format string, args ...any) {
	fmt.Fprintf(p.stdout, format+"\n", args...)
}

// confirmFlag adds --yes.
func confirmFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("yes", false, "do not ask for confirmation")
}

// confirm asks before an irreversible change if standard input is a terminal and --yes is not given. A script is not asked.
func (p *program) confirm(yes bool, format string, args ...any) error {
	if yes || !isTerminal(p.stdin) {
		return nil
	}
	fmt.Fprintf(p.stderr, format+" [y/N] ", args...)
	answer, err := bufio.NewReader(p.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the confirmation: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not confirmed; nothing was changed")
}

// isTerminal reports whether the reader is a terminal.
func isTerminal(r io.Reader) bool {
	file, ok := r.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// yesNo formats a boolean.
func yesNo(claim bool) string {
	if claim {
		return "yes"
	}
	return "no"
}
