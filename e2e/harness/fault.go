package harness

import (
	"context"
	"sync/atomic"

	"xenoauth/store"
)

// Faulty is a store whose look-ups of credentials can be made to fail, in front of a real one: what a database says when
// it is in trouble, in whatever wrapping.
type Faulty struct {
	store.Store
	fault atomic.Pointer[error]
}

// Fail makes the look-ups fail from now on; nil ends it.
func (f *Faulty) Fail(err error) {
	if err == nil {
		f.fault.Store(nil)
		return
	}
	f.fault.Store(&err)
}

func (f *Faulty) failing() error {
	if p := f.fault.Load(); p != nil {
		return *p
	}
	return nil
}

// CodeByID fails on demand.
func (f *Faulty) CodeByID(ctx context.Context, id store.LookupID) (store.Code, error) {
	if err := f.failing(); err != nil {
		return store.Code{}, err
	}
	return f.Store.CodeByID(ctx, id)
}

// Redeem fails on demand.
func (f *Faulty) Redeem(ctx context.Context, id store.LookupID, g store.Grant, limit int) error {
	if err := f.failing(); err != nil {
		return err
	}
	return f.Store.Redeem(ctx, id, g, limit)
}

// RefreshByID fails on demand.
func (f *Faulty) RefreshByID(ctx context.Context, id store.LookupID) (store.Refresh, store.Family, error) {
	if err := f.failing(); err != nil {
		return store.Refresh{}, store.Family{}, err
	}
	return f.Store.RefreshByID(ctx, id)
}

// CreateClientToken fails on demand.
func (f *Faulty) CreateClientToken(ctx context.Context, t store.Token) error {
	if err := f.failing(); err != nil {
		return err
	}
	return f.Store.CreateClientToken(ctx, t)
}
