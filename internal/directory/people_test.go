package directory_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

const password = "correct horse"

var operator = store.OperatorPrincipal("test")

// rules returns a directory with a cheap password hash.
func rules(st store.Store, cost ...secret.Params) *directory.Directory {
	if cost == nil {
		cost = []secret.Params{{Memory: 64, Time: 1, Threads: 1}}
	}
	return directory.New(st, scope.Default(), secret.NewPasswords(secret.PasswordOptions{Concurrency: 2, Params: cost[0]}), secret.Format{},
		directory.Options{SignUpOpen: true, PublicURL: "https://auth.example"})
}

// person adds a user with an account.
func person(t *testing.T, d *directory.Directory, email string) (store.User, store.Account) {
	t.Helper()
	u, a, err := d.AddUser(context.Background(), operator, directory.NewUser{Email: email, Password: password})
	if err != nil {
		t.Fatalf("add %s: %v", email, err)
	}
	return u, a
}

// wantFaults asserts which fields are at fault.
func wantFaults(t *testing.T, err error, fields ...string) {
	t.Helper()
	var faults directory.FieldErrors
	if !errors.As(err, &faults) {
		t.Fatalf("got error %v, want field errors of %v", err, fields)
	}
	if len(faults) != len(fields) {
		t.Errorf("got faults %v, want of %v", faults, fields)
	}
	for _, field := range fields {
		if faults[field] == "" {
			t.Errorf("no fault of %s in %v", field, faults)
		}
	}
}

func TestSignUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, d := context.Background(), rules(st)
		u, err := d.SignUp(ctx, store.VisitorPrincipal(""), directory.SignUpForm{Name: " Ada ", Email: " Ada@Example.org ", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		if u.Email != "ada@example.org" || u.Name != "Ada" || u.Operator || !secret.ValidUserID(u.ID) {
			t.Errorf("signed up %+v", u)
		}
		members, err := st.MembersByUser(ctx, u.ID)
		if err != nil || len(members) != 1 || members[0].Role != scope.RoleAdmin || members[0].AccountName != "Ada" {
			t.Fatalf("memberships %+v, %v; want one account as admin", members, err)
		}
		account, err := st.AccountByID(ctx, members[0].AccountID)
		if err != nil || account.Plan != "standard" {
			t.Errorf("account %+v, %v; want the plan standard", account, err)
		}
		stored, err := st.UserByID(ctx, u.ID)
		if err != nil || !strings.HasPrefix(stored.Password, "$argon2id$") {
			t.Errorf("stored password is no argon2id hash, %v", err)
		}
		_, err = d.SignUp(ctx, store.VisitorPrincipal(""), directory.SignUpForm{Email: "ADA@example.org", Password: password})
		wantFaults(t, err, "email")
		_, err = d.SignUp(ctx, store.VisitorPrincipal(""), directory.SignUpForm{Name: "a\u202Eb", Email: "nobody", Password: "short"})
		wantFaults(t, err, "name", "email", "password")
	})
}

func TestDeletedAddressStaysTaken(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	d := rules(st)
	u, _ := person(t, d, "ada@example.org")
	wantTaken := func(removed bool) {
		t.Helper()
		_, _, err := d.AddUser(context.Background(), operator, directory.NewUser{Email: "Ada@example.org", Password: password})
		var taken *directory.EmailTakenError
		if !errors.As(err, &taken) || !errors.Is(err, store.ErrConflict) || taken.Removed != removed || taken.Email != u.Email {
			t.Errorf("added again: %v, want it to be taken, removed %t", err, removed)
		}
	}
	// Sign-up gives the same answer for both.
	signUp := func() string {
		_, err := d.SignUp(context.Background(), store.VisitorPrincipal(""), directory.SignUpForm{Email: "ada@example.org", Password: password})
		wantFaults(t, err, "email")
		return err.Error()
	}
	wantTaken(false)
	before := signUp()
	if err := st.DeleteUser(context.Background(), operator, u.ID); err != nil {
		t.Fatal(err)
	}
	wantTaken(true)
	if after := signUp(); after != before {
		t.Errorf("sign-up answers %q for a removed user's address, and %q for another's", after, before)
	}
}

func TestSignUpClosed(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	d := directory.New(st, scope.Default(), secret.NewPasswords(secret.PasswordOptions{Concurrency: 1}), secret.Format{}, directory.Options{DefaultPlan: "free"})
	_, err := d.SignUp(context.Background(), store.VisitorPrincipal(""), directory.SignUpForm{Email: "ada@example.org", Password: password})
	if !errors.Is(err, directory.ErrSignUpClosed) {
		t.Errorf("sign-up: %v, want ErrSignUpClosed", err)
	}
	u, a := person(t, d, "ada@example.org")
	if u.Name != "ada" || a.Plan != "free" {
		t.Errorf("operator added %+v with %+v", u, a)
	}
}

func TestLogIn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, d := context.Background(), rules(st)
		u, _ := person(t, d, "ada@example.org")
		blocked, _ := person(t, d, "eve@example.org")
		if err := st.SetUserDisabled(ctx, operator, blocked.ID, true); err != nil {
			t.Fatal(err)
		}
		got, err := d.LogIn(ctx, " ADA@example.org", password)
		if err != nil || got.ID != u.ID {
			t.Fatalf("log in: %+v, %v", got.ID, err)
		}
		for name, try := range map[string][2]string{
			"wrong password": {"ada@example.org", "incorrect horse"},
			"short password": {"ada@example.org", "x"},
			"empty password": {"ada@example.org", ""},
			"unknown user":   {"bob@example.org", password},
			"malformed":      {"ada", password},
			"empty":          {"", ""},
			"disabled":       {"eve@example.org", password},
		} {
			if _, err := d.LogIn(ctx, try[0], try[1]); !errors.Is(err, directory.ErrCredentials) || err.Error() != directory.ErrCredentials.Error() {
				t.Errorf("%s: %v, want ErrCredentials and nothing else", name, err)
			}
		}
		for _, impossible := range []string{strings.Repeat("a", 1025), "nul\x00nul\x00nul", "bad\xff\xff\xff\xff\xff"} {
			_, err := d.LogIn(ctx, "ada@example.org", impossible)
			wantFaults(t, err, "password")
		}
	})
}

// TestLogInCost: an address that does not exist costs a hash as well. The test measures the memory that argon2id allocates, which
// does not depend on the load of the machine, and so does not run in parallel with others.
func TestLogInCost(t *testing.T) {
	const hash = 8 << 20
	st := dbtest.Open(t, dbtest.SQLite(t))
	d := rules(st, secret.Params{Memory: hash >> 10, Time: 1, Threads: 1})
	for _, email := range []string{"nobody@example.org", "malformed", ""} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := d.LogIn(t.Context(), email, password); !errors.Is(err, directory.ErrCredentials) {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took < hash {
			t.Errorf("log-in as %q took %d bytes, less than one hash (%d)", email, took, hash)
		}
	}
}

func TestLogInReplacesOldHash(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	ctx := context.Background()
	u, _ := person(t, rules(st), "ada@example.org")
	before, err := st.UserByID(ctx, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	today := rules(st, secret.Params{Memory: 128, Time: 1, Threads: 1})
	for range 2 {
		if _, err := today.LogIn(ctx, "ada@example.org", password); err != nil {
			t.Fatal(err)
		}
	}
	after, err := st.UserByID(ctx, u.ID)
	if err != nil || after.Password == before.Password || !strings.Contains(after.Password, "m=128,") {
		t.Errorf("the hash was not replaced by one of today's cost (%v)", err)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, d := context.Background(), rules(st)
		u, _ := person(t, d, "ada@example.org")
		by := store.UserPrincipal(u.ID, "")
		wantFaults(t, d.ChangePassword(ctx, by, u, "wrong horse", "short", nil), "current_password", "password")
		wantFaults(t, d.ChangePassword(ctx, by, u, strings.Repeat("a", 2000), "a new password", nil), "current_password")
		if _, err := d.LogIn(ctx, u.Email, password); err != nil {
			t.Errorf("the refused change changed something: %v", err)
		}
		if err := d.ChangePassword(ctx, by, u, password, "a new password", nil); err != nil {
			t.Fatal(err)
		}
		if err := d.ChangePassword(ctx, by, u, password, "a new password", nil); err != nil {
			t.Errorf("the same form again, a moment later: %v", err)
		}
		wantFaults(t, d.ChangePassword(ctx, by, u, password, "another password", nil), "current_password")
		dbtest.Exec(t, st, `UPDATE users SET password_at = password_at - 61000000 WHERE id = $1`, u.ID)
		wantFaults(t, d.ChangePassword(ctx, by, u, password, "a new password", nil), "current_password")
		if err := d.ChangePassword(ctx, by, u, "a new password", "a new password", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := d.LogIn(ctx, u.Email, password); !errors.Is(err, directory.ErrCredentials) {
			t.Errorf("the old password: %v, want ErrCredentials", err)
		}
		if _, err := d.LogIn(ctx, u.Email, "a new password"); err != nil {
			t.Errorf("the new password: %v", err)
		}
		_, err := d.SetPassword(ctx, operator, u.ID, "short", store.PasswordReset{})
		wantFaults(t, err, "password")
		if _, err := d.SetPassword(ctx, operator, secret.NewUserID(), password, store.PasswordReset{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown user: %v, want ErrNotFound", err)
		}
	})
}

func TestPasswordChangeEndsSessions(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	ctx, d := context.Background(), rules(st)
	u, _ := person(t, d, "ada@example.org")
	by := store.UserPrincipal(u.ID, "")
	ids := [][]byte{[]byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32))}
	for _, id := range ids {
		s := store.Session{ID: id, UserID: u.ID, CreatedAt: st.Now(), SeenAt: st.Now(), ExpiresAt: st.Now().Add(time.Hour)}
		if _, err := st.CreateSession(ctx, by, s, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.ChangePassword(ctx, by, u, password, "a new password", ids[0]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := st.SessionByID(ctx, ids[0]); err != nil {
		t.Errorf("the session that was kept: %v", err)
	}
	if _, _, err := st.SessionByID(ctx, ids[1]); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the other session: %v, want ErrNotFound", err)
	}
}

func TestRename(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	ctx, d := context.Background(), rules(st)
	u, _ := person(t, d, "ada@example.org")
	for _, bad := range []string{"", " ", "a\nb", strings.Repeat("a", 101)} {
		wantFaults(t, d.Rename(ctx, operator, u.ID, bad), "name")
	}
	if err := d.Rename(ctx, operator, u.ID, " Ada Lovelace "); err != nil {
		t.Fatal(err)
	}
	if got, err := st.UserByID(ctx, u.ID); err != nil || got.Name != "Ada Lovelace" {
		t.Errorf("renamed to %q, %v", got.Name, err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, d := context.Background(), rules(st)
		ada, home := person(t, d, "ada@example.org")
		_, other := person(t, d, "bob@example.org")
		for _, ref := range []string{"ada@example.org", " ADA@example.org ", ada.ID} {
			if u, err := d.ResolveUser(ctx, operator, ref); err != nil || u.ID != ada.ID {
				t.Errorf("user %q: %v, %v", ref, u.ID, err)
			}
		}
		for _, ref := range []string{"ada@example.org", home.ID} {
			if a, err := d.ResolveAccount(ctx, operator, ref); err != nil || a.ID != home.ID {
				t.Errorf("account %q: %v, %v", ref, a.ID, err)
			}
		}
		for _, ref := range []string{"", "nobody", "no@body.example", "acc_x", secret.NewPublicID("acc_"), secret.NewUserID(), "a\x00@b"} {
			if _, err := d.ResolveUser(ctx, operator, ref); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("user %q: %v, want ErrNotFound", ref, err)
			}
			if _, err := d.ResolveAccount(ctx, operator, ref); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("account %q: %v, want ErrNotFound", ref, err)
			}
		}
		if err := st.AddMember(ctx, operator, other.ID, ada.ID, scope.RoleGuest); err != nil {
			t.Fatal(err)
		}
		_, err := d.ResolveAccount(ctx, operator, "ada@example.org")
		var several *directory.SeveralAccountsError
		if !errors.As(err, &several) || !strings.Contains(err.Error(), home.ID) || !strings.Contains(err.Error(), other.ID) {
			t.Errorf("two accounts: %v, want both listed", err)
		}
		if err := st.RemoveMember(ctx, operator, other.ID, ada.ID); err != nil {
			t.Fatal(err)
		}
		if err := st.RemoveMember(ctx, operator, home.ID, ada.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := d.ResolveAccount(ctx, operator, "ada@example.org"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("no account: %v, want ErrNotFound", err)
		}
	})
}
