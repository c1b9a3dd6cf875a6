package harness

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// WantStatus asserts the status of an answer. What describes the request in a failure; without it, the path does.
func (a Answer) WantStatus(t testing.TB, status int, what ...any) {
	t.Helper()
	if a.Status != status {
		t.Errorf("%s: status = %d, want %d: %.900s", a.describe(what), a.Status, status, a.Body)
	}
}

// WantRedirect asserts a 303 to an address, which is a path for a page of the server's own.
func (a Answer) WantRedirect(t testing.TB, to string, what ...any) {
	t.Helper()
	if location := a.Header.Get("Location"); a.Status != http.StatusSeeOther || location != to {
		t.Errorf("%s: status = %d, Location = %q; want 303 to %q: %.600s", a.describe(what), a.Status, location, to, a.Body)
	}
}

// WantText asserts that the body contains each text.
func (a Answer) WantText(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.Body, text) {
			t.Errorf("%s: %q is missing from the answer %d: %.2500s", a.Path, text, a.Status, a.Body)
		}
	}
}

// WantNoText asserts that the body contains none of the texts.
func (a Answer) WantNoText(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.Body, text) {
			t.Errorf("%s: the answer %d contains %q: %.2500s", a.Path, a.Status, text, a.Body)
		}
	}
}

func (a Answer) describe(what []any) string {
	if len(what) == 0 {
		return a.Path
	}
	return fmt.Sprint(what...)
}

// WantCount asserts the result of a SELECT COUNT.
func (e *Env) WantCount(want int, sql string, args ...any) {
	e.t.Helper()
	if n := e.Count(sql, args...); n != want {
		e.t.Errorf("%d rows, want %d: %s", n, want, sql)
	}
}
