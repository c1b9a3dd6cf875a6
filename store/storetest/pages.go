package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

func testPageValues(t *testing.T, st store.Store) {
	ctx := t.Context()
	value := func(lives time.Duration) store.PageValue {
		now := st.Now()
		return store.PageValue{ID: hash(secret.NewID()), Sealed: []byte{0, 1, 255}, CreatedAt: now, ExpiresAt: now.Add(lives)}
	}
	t.Run("kept, read, and taken once", func(t *testing.T) {
		v := value(time.Minute)
		no(t, st.KeepPageValue(ctx, v))
		wants(t, st.KeepPageValue(ctx, v), store.ErrConflict)
		got, err := st.PageValueByID(ctx, v.ID)
		no(t, err)
		equal(t, "subject", got.Subject, v.Subject)
		var taken atomic.Int64
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				got, err := st.TakePageValue(ctx, v.ID, st.Now().Add(time.Minute))
				switch {
				case err == nil && string(got.Sealed) == string(v.Sealed):
					taken.Add(1)
				case !errors.Is(err, store.ErrNotFound):
					t.Errorf("take: %v, %v", got, err)
				}
			})
		}
		all.Wait()
		equal(t, "times taken", taken.Load(), 1)
		_, err = st.TakePageValue(ctx, v.ID, st.Now().Add(time.Minute))
		wants(t, err, store.ErrNotFound)
		no(t, st.ReturnPageValue(ctx, v.ID))
		_, err = st.TakePageValue(ctx, v.ID, st.Now())
		no(t, err)
		no(t, st.ReturnPageValue(ctx, v.ID))
		_, err = st.TakePageValue(ctx, v.ID, st.Now())
		wants(t, err, store.ErrNotFound)
	})
	t.Run("expired", func(t *testing.T) {
		sweepAll(t, st, retention, 100) // of the tests before
		v := value(0)
		no(t, st.KeepPageValue(ctx, v))
		_, err := st.PageValueByID(ctx, v.ID)
		wants(t, err, store.ErrNotFound)
		_, err = st.TakePageValue(ctx, v.ID, st.Now().Add(time.Minute))
		wants(t, err, store.ErrNotFound)
		equal(t, "swept", sweepAll(t, st, retention, 100)["page_values"], 1)
	})
	t.Run("one form writes once", func(t *testing.T) {
		w := newWorld(t, st)
		by := as(w.user).WithForm(hash(secret.NewID()))
		var made atomic.Int64
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				a := w.app
				a.ID, a.Confidential = secret.NewPublicID("app_"), false
				switch err := st.CreateApp(ctx, by, a, nil); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, store.ErrConsumed):
					t.Errorf("create: %v", err)
				}
			})
		}
		all.Wait()
		equal(t, "apps made", made.Load(), 1)
		apps, err := st.AppsByUser(ctx, w.user.ID)
		no(t, err)
		equal(t, "apps", len(apps), 2) // the world's own and the new one
		kept, err := st.PageValueByID(ctx, []byte(by.Form()))
		no(t, err)
		if kept.Sealed != nil || kept.Subject == w.app.ID || !secret.ValidPublicID("app_", kept.Subject) {
			t.Fatalf("the form is kept as %+v", kept)
		}
	})
}
