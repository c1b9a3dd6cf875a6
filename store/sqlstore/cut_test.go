package sqlstore_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
	"xenoauth/store/storetest"
)

// cutter forwards connections to a Postgres, and cuts one after a number of bytes from the database.
type cutter struct{ left atomic.Int64 }

// through returns the address of the database through the cutter.
func (c *cutter) through(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	sockets, err := filepath.Glob(filepath.Join(query.Get("host"), ".s.PGSQL.*"))
	if err != nil || len(sockets) == 0 {
		t.Fatal("the cluster has no socket")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", sockets[0])
			if err != nil {
				client.Close()
				return
			}
			go func() { _, _ = io.Copy(server, client); server.Close() }()
			go func() { c.copy(client, server); client.Close(); server.Close() }()
		}
	}()
	query.Del("host")
	u.Host, u.RawQuery = l.Addr().String(), query.Encode()
	return u.String()
}

func (c *cutter) copy(client io.Writer, server io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := server.Read(buf)
		if left := c.left.Add(int64(-n)); left < 0 {
			_, _ = client.Write(buf[:max(0, int64(n)+left)])
			return
		}
		if _, failed := client.Write(buf[:n]); failed != nil || err != nil {
			return
		}
	}
}

// TestLostConnection: a connection that is cut after any byte from the database is store.ErrUnavailable, in a statement of its
// own, in a transaction, in a batch and at the commit.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	database := dbtest.Postgres(t)
	direct := dbtest.Open(t, database)
	u, account := storetest.NewUser(t, direct)
	app, _ := storetest.NewApp(t, direct, account.ID, nil)
	i := storetest.Install(t, direct, u, account.ID, app.ID, storetest.Scopes(t, "contacts", "widgets"))
	newFamily := func() store.Grant {
		g := storetest.FamilyGrant(direct, i)
		storetest.Redeem(t, direct, i, g)
		return g
	}
	// Each prepares an operation and returns it.
	operations := map[string]func(st store.Store) func() error{
		"end a family": func(st store.Store) func() error {
			g := newFamily()
			return func() error {
				return st.EndFamily(t.Context(), store.AppPrincipal(app.ID, ""), store.LookupID(g.Family.ID), "test")
			}
		},
		"rotate": func(st store.Store) func() error {
			g := newFamily()
			return func() error { return st.Rotate(t.Context(), storetest.Rotation(st, g, g.Refresh.ID)) }
		},
		"redeem": func(st store.Store) func() error {
			c := storetest.Code(direct, i)
			if err := direct.CreateCode(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			return func() error { return st.Redeem(t.Context(), c.ID, storetest.FamilyGrant(direct, i), 0) }
		},
		"log in": func(st store.Store) func() error {
			now := direct.Now()
			s := store.Session{ID: secret.NewID().Bytes(), UserID: u.ID, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Hour)}
			return func() error {
				_, err := st.CreateSession(t.Context(), store.UserPrincipal(u.ID, ""), s, nil)
				return err
			}
		},
		"revoke a token": func(st store.Store) func() error {
			g := storetest.TokenGrant(direct, i)
			storetest.Redeem(t, direct, i, g)
			return func() error {
				return st.RevokeToken(t.Context(), store.AppPrincipal(app.ID, ""), store.NonExpiring, g.Token.ID)
			}
		},
	}
	for name, prepare := range operations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const whole = int64(1) << 40
			var c cutter
			c.left.Store(whole)
			st, err := sqlstore.Open(t.Context(), c.through(t, database), sqlstore.Options{Timeout: dbtest.Timeout, MaxConns: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			if err := prepare(st)(); err != nil {
				t.Fatal(err)
			}
			cuts := 0
			for after := int64(0); ; after += 7 { // 7 lands in every part of a message sooner or later
				call := prepare(st)
				c.left.Store(after)
				err := call()
				if left := c.left.Load(); left >= 0 {
					break // the operation ended before the cut
				}
				cuts++
				if !errors.Is(err, store.ErrUnavailable) {
					t.Fatalf("cut after %d bytes: %v", after, err)
				}
				c.left.Store(whole)
				for range 100 { // connections of the pool are replaced
					if err = prepare(st)(); err == nil {
						break
					}
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if cuts < 5 {
				t.Errorf("%d cuts; the test shows nothing", cuts)
			}
		})
	}
}
