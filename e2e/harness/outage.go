package harness

import (
	"context"
	"fmt"
	"sync"

	"xenoauth/store"
)

// Outage is a store of which single operations can be made to fail, in front of a real one: what a database does that
// goes away between two questions. The operations are AccessByID, RefreshByID, ClientByID, RevokeToken and EndFamily.
type Outage struct {
	store.Store
	mu     sync.Mutex
	broken map[string]error
}

// Break makes the operations fail from now on.
func (o *Outage) Break(err error, operations ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken == nil {
		o.broken = map[string]error{}
	}
	for _, name := range operations {
		o.broken[name] = fmt.Errorf("%s: %w", name, err)
	}
}

// Mend ends it.
func (o *Outage) Mend() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.broken)
}

func (o *Outage) failing(operation string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.broken[operation]
}

// AccessByID fails on demand.
func (o *Outage) AccessByID(ctx context.Context, kind store.TokenKind, id store.LookupID) (store.Access, error) {
	if err := o.failing("AccessByID"); err != nil {
		return store.Access{}, err
	}
	return o.Store.AccessByID(ctx, kind, id)
}

// RefreshByID fails on demand.
func (o *Outage) RefreshByID(ctx context.Context, id store.LookupID) (store.Refresh, store.Family, error) {
	if err := o.failing("RefreshByID"); err != nil {
		return store.Refresh{}, store.Family{}, err
	}
	return o.Store.RefreshByID(ctx, id)
}

// ClientByID fails on demand.
func (o *Outage) ClientByID(ctx context.Context, id string, secret store.LookupID) (store.Client, error) {
	if err := o.failing("ClientByID"); err != nil {
		return store.Client{}, err
	}
	return o.Store.ClientByID(ctx, id, secret)
}

// RevokeToken fails on demand.
func (o *Outage) RevokeToken(ctx context.Context, by store.Actor, kind store.TokenKind, id store.LookupID) error {
	if err := o.failing("RevokeToken"); err != nil {
		return err
	}
	return o.Store.RevokeToken(ctx, by, kind, id)
}

// EndFamily fails on demand.
func (o *Outage) EndFamily(ctx context.Context, by store.Actor, id store.LookupID, why string) error {
	if err := o.failing("EndFamily"); err != nil {
		return err
	}
	return o.Store.EndFamily(ctx, by, id, why)
}
