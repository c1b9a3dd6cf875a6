package sqlstore_test

import (
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
	"xenoauth/store/storetest"
)

// BenchmarkAllocations reports what the calls behind the busiest endpoints allocate. The counts are the same on every
// machine; the times are not, and measure nothing here.
func BenchmarkAllocations(b *testing.B) {
	for name, databaseURL := range map[string]func(testing.TB) string{"SQLite": dbtest.SQLite, "Postgres": dbtest.Postgres} {
		b.Run(name, func(b *testing.B) { benchmarkAllocations(b, dbtest.Open(b, databaseURL(b))) })
	}
}

func benchmarkAllocations(b *testing.B, st store.Store) {
	u, account := storetest.NewUser(b, st)
	app, first := storetest.NewApp(b, st, account.ID, nil)
	i := storetest.Install(b, st, u, account.ID, app.ID, storetest.Scopes(b, "contacts", "widgets"))
	forever, expiring := storetest.TokenGrant(st, i), storetest.FamilyGrant(st, i)
	storetest.Redeem(b, st, i, forever)
	storetest.Redeem(b, st, i, expiring)
	session := store.Session{ID: []byte("session"), UserID: u.ID, CreatedAt: st.Now(), SeenAt: st.Now(), ExpiresAt: st.Now().Add(time.Hour)}
	if _, err := st.CreateSession(b.Context(), store.UserPrincipal(u.ID, ""), session, nil); err != nil {
		b.Fatal(err)
	}
	measure := func(name string, call func() error) {
		b.Run(name, func(b *testing.B) {
			if err := call(); err != nil { // prepares the statements
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	measure("look up a token", func() error {
		_, err := st.AccessByID(b.Context(), store.NonExpiring, forever.Token.ID)
		return err
	})
	measure("look up an expiring token", func() error {
		_, err := st.AccessByID(b.Context(), store.Expiring, expiring.Token.ID)
		return err
	})
	measure("look up a client", func() error {
		_, err := st.ClientByID(b.Context(), app.ID, first.ID)
		return err
	})
	measure("look up a session", func() error {
		_, _, err := st.SessionByID(b.Context(), session.ID)
		return err
	})
	scopes := storetest.Scopes(b, "widgets")
	measure("issue a client token", func() error {
		return st.CreateClientToken(b.Context(), newClientToken(st, app.ID, scopes))
	})
	measure("redeem a code", func() error {
		c := storetest.Code(st, i)
		if err := st.CreateCode(b.Context(), c); err != nil {
			return err
		}
		return st.Redeem(b.Context(), c.ID, storetest.TokenGrant(st, i), 0)
	})
	old := expiring.Refresh.ID
	measure("rotate a refresh token", func() error {
		r := storetest.Rotation(st, expiring, old)
		old = r.Next.ID
		return st.Rotate(b.Context(), r)
	})
}

func newClientToken(st store.Store, appID string, scopes scope.Set) store.Token {
	t := storetest.ClientToken(st, appID, scopes)
	t.ID = secret.NewID()
	return t
}
