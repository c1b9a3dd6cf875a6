package dbtest_test

import (
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
)

func TestEachGivesMigratedDatabases(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		users, err := st.ListUsers(t.Context(), store.Page{})
		if err != nil || len(users) != 0 {
			t.Fatalf("ListUsers = %v, %v; want none", users, err)
		}
		key, err := st.EnsureKey(t.Context(), "test", []byte("candidate"))
		if err != nil || string(key) != "candidate" {
			t.Fatalf("EnsureKey = %q, %v", key, err)
		}
		dbtest.Exec(t, st, `UPDATE server_keys SET value = $1 WHERE name = $2`, []byte("other"), "test")
		key, err = st.EnsureKey(t.Context(), "test", []byte("candidate"))
		if err != nil || string(key) != "other" {
			t.Fatalf("EnsureKey after a change behind the store = %q, %v", key, err)
		}
	})
}

func TestDatabasesAreSeparate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		key, err := st.EnsureKey(t.Context(), "test", []byte("mine"))
		if err != nil || string(key) != "mine" {
			t.Fatalf("EnsureKey = %q, %v", key, err)
		}
	})
}
