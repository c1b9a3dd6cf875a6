package harness

import (
	"context"
	"fmt"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// AddCrowd makes n users with U's password and returns their e-mail addresses. The hash is made once, which is quick.
func (e *Env) AddUsers(n int) []string {
	e.t.Helper()
	emails := make([]string, n)
	for i := range emails {
		emails[i] = fmt.Sprintf("crowd%d@users.test", i)
		now := e.Store.Now()
		u := store.User{ID: secret.NewUserID(), Email: emails[i], Name: "Crowd", Password: e.U.Password, CreatedAt: now, PasswordAt: now}
		a := store.Account{ID: secret.NewPublicID("acc_"), Name: "Crowd", Plan: "standard", CreatedAt: now}
		if err := e.Store.CreateUser(context.Background(), Operator, u, a); err != nil {
			e.t.Fatalf("add user %s: %v", emails[i], err)
		}
	}
	return emails
}
