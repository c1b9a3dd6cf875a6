// Package storetest is the contract of package store as tests. Every implementation must pass Run; where the doc comments
// of package store leave a doubt, these tests decide.
package storetest

import (
	"errors"
	"slices"
	"testing"

	"xenoauth/store"
)

// Run checks an implementation. open returns an empty, migrated store that is closed when the test ends; it is called
// once for each group of tests.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	groups := []struct {
		name string
		test func(t *testing.T, st store.Store)
	}{
		{"zero principal", testZeroPrincipal},
		{"managed objects", testManaged},
		{"users", testUsers},
		{"accounts", testAccounts},
		{"apps", testApps},
		{"secrets", testSecrets},
		{"resources", testResources},
		{"API keys", testAPIKeys},
		{"bots", testBots},
		{"integrations", testIntegrations},
		{"requests", testRequests},
		{"installations", testInstallations},
		{"codes", testCodes},
		{"tokens", testTokens},
		{"refreshes", testRefreshes},
		{"user tokens", testUserTokens},
		{"user tokens of a user", testUserFamilies},
		{"users who are not verified", testUnverified},
		{"signing keys", testSigningKeys},
		{"credentials", testCredentials},
		{"roots", testRoots},
		{"sessions", testSessions},
		{"page values", testPageValues},
		{"usage and keys", testUsageAndKeys},
		{"catalogue", testCatalogue},
		{"running servers", testRunningServers},
		{"audit", testAudit},
		{"search", testSearch},
		{"installed apps in parts", testInstalledAppsInParts},
		{"upkeep", testUpkeep},
		{"sweeping at once", testSweepAtOnce},
		{"limits", testLimits},
		{"races", testRaces},
		{"store", testStore},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			g.test(t, open(t))
		})
	}
}

// no fails the test for any error.
func no(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("got error %v, want none", err)
	}
}

// wants fails the test unless err is the wanted sentinel and no other.
func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
	for _, other := range []error{
		store.ErrNotFound, store.ErrConflict, store.ErrConsumed, store.ErrEnded, store.ErrLimit, store.ErrInvalid, store.ErrUnavailable,
	} {
		if other != want && errors.Is(err, other) {
			t.Fatalf("got error %v, which is %v as well as %v", err, other, want)
		}
	}
}

// equal fails the test unless got is want.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// ids lists what identifies each element.
func ids[T any](list []T, id func(T) string) []string {
	var out []string
	for _, v := range list {
		out = append(out, id(v))
	}
	return out
}

// sameList fails the test unless both hold the same strings in the same order.
func sameList(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

// pages reads a whole list, two rows at a time.
func pages[T any](t *testing.T, id func(T) string, list func(store.Page) ([]T, error)) []string {
	t.Helper()
	var all []string
	page := store.Page{Limit: 2}
	for {
		rows, err := list(page)
		no(t, err)
		if len(rows) > 2 {
			t.Fatalf("a page of 2 has %d rows", len(rows))
		}
		if len(rows) == 0 {
			return all
		}
		all = append(all, ids(rows, id)...)
		page.After = id(rows[len(rows)-1])
	}
}
