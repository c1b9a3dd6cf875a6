package harness

import (
	"context"
	"sync/atomic"
	"time"

	"xenoauth/store"
)

// Panicky is a store some of whose methods panic on demand, in front of a real one: the fault that nobody thought of.
type Panicky struct {
	store.Store
	Armed atomic.Bool
}

// Panicked is what it panics with, and what nobody outside may read.
const Panicked = "internal: at the disco"

func (p *Panicky) maybe() {
	if p.Armed.Load() {
		panic(Panicked)
	}
}

// AccessByID panics on demand.
func (p *Panicky) AccessByID(ctx context.Context, kind store.TokenKind, id store.LookupID) (store.Access, error) {
	p.maybe()
	return p.Store.AccessByID(ctx, kind, id)
}

// UserByEmail panics on demand.
func (p *Panicky) UserByEmail(ctx context.Context, email string) (store.User, error) {
	p.maybe()
	return p.Store.UserByEmail(ctx, email)
}

// AddSecret panics on demand.
func (p *Panicky) AddSecret(ctx context.Context, by store.Actor, s store.Secret, othersUntil time.Time) error {
	p.maybe()
	return p.Store.AddSecret(ctx, by, s, othersUntil)
}

// ClientByID panics on demand.
func (p *Panicky) ClientByID(ctx context.Context, clientID string, secret store.LookupID) (store.Client, error) {
	p.maybe()
	return p.Store.ClientByID(ctx, clientID, secret)
}
