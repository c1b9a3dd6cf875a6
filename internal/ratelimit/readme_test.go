package ratelimit

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"xenoauth/internal/secret"
)

// readTable returns the cells of the rows of README.md whose first cell is `name`, by that name.
func readTable(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if id := strings.Trim(cells[0], "`"); len(cells) > 4 && cells[0] == "`"+id+"`" {
			rows[id] = cells
		}
	}
	return rows
}

// TestREADME_Limits: README.md has every limit, with its window, default, place and an existing setting, and no other.
func TestREADME_Limits(t *testing.T) {
	t.Parallel()
	operations, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := readTable(t)
	for n, r := range rules {
		cells := rows[string(n)]
		if len(cells) != 7 {
			t.Errorf("%s has no row", n)
			continue
		}
		place := "database"
		if r.memory {
			place = "memory"
		}
		window := strings.TrimSuffix(strings.TrimSuffix(r.window.String(), "0s"), "0m")
		if r.window.Minutes() < 60 {
			window = fmt.Sprintf("%dm", int(r.window.Minutes()))
		}
		limit := fmt.Sprint(r.limit(Limits{}.orDefault()))
		if got, want := strings.Join(cells[3:6], ", "), strings.Join([]string{window, limit, place}, ", "); got != want {
			t.Errorf("%s: README has %s, the code %s", n, got, want)
		}
		flag := regexp.MustCompile("`(--[a-z-]+)`").FindStringSubmatch(cells[6])
		if flag == nil || !strings.Contains(string(operations), "`"+flag[1]+"`") {
			t.Errorf("%s: %q names no setting of docs/operations.md", n, cells[6])
		}
	}
	if len(rows) != len(rules)+3 {
		t.Errorf("README has %d rows, want one for each of %d limits and 3 queues", len(rows), len(rules))
	}
}

// TestREADME_Queues: README.md has the sizes of the queues.
func TestREADME_Queues(t *testing.T) {
	t.Parallel()
	rows := readTable(t)
	for queue, want := range map[string][]string{
		"gate":    {fmt.Sprintf("%d at a time, %d more", gatePlaces, gateLine), gateBudget.String()},
		"turn":    {turnBudget.String()},
		"hashing": {fmt.Sprintf("; %d wait", secret.MaxQueued)},
	} {
		for _, text := range want {
			if !strings.Contains(strings.Join(rows[queue], "|"), text) {
				t.Errorf("%s: the row has no %q", queue, text)
			}
		}
	}
}
