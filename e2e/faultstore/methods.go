package faultstore

import (
	"context"
	"time"

	"xenoauth/store"
)

// AppByID may have a fault, as may every method in this file.
func (s *Store) AppByID(ctx context.Context, id string) (store.App, error) {
	return call(ctx, s, "AppByID", func(ctx context.Context) (store.App, error) { return s.Store.AppByID(ctx, id) })
}

// UserByEmail may have a fault.
func (s *Store) UserByEmail(ctx context.Context, email string) (store.User, error) {
	return call(ctx, s, "UserByEmail", func(ctx context.Context) (store.User, error) { return s.Store.UserByEmail(ctx, email) })
}

// ClientByID may have a fault.
func (s *Store) ClientByID(ctx context.Context, clientID string, secret store.LookupID) (store.Client, error) {
	return call(ctx, s, "ClientByID", func(ctx context.Context) (store.Client, error) { return s.Store.ClientByID(ctx, clientID, secret) })
}

// AccessByID may have a fault.
func (s *Store) AccessByID(ctx context.Context, kind store.TokenKind, id store.LookupID) (store.Access, error) {
	return call(ctx, s, "AccessByID", func(ctx context.Context) (store.Access, error) { return s.Store.AccessByID(ctx, kind, id) })
}

// KeyBySecret may have a fault.
func (s *Store) KeyBySecret(ctx context.Context, id store.LookupID) (store.KeyAccess, error) {
	return call(ctx, s, "KeyBySecret", func(ctx context.Context) (store.KeyAccess, error) { return s.Store.KeyBySecret(ctx, id) })
}

// IntegrationByID may have a fault.
func (s *Store) IntegrationByID(ctx context.Context, id store.LookupID) (store.IntegrationAccess, error) {
	return call(ctx, s, "IntegrationByID", func(ctx context.Context) (store.IntegrationAccess, error) { return s.Store.IntegrationByID(ctx, id) })
}

// UserRefreshByID may have a fault.
func (s *Store) UserRefreshByID(ctx context.Context, id store.LookupID) (store.UserAccess, error) {
	return call(ctx, s, "UserRefreshByID", func(ctx context.Context) (store.UserAccess, error) { return s.Store.UserRefreshByID(ctx, id) })
}

// SigningKeys may have a fault.
func (s *Store) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	return call(ctx, s, "SigningKeys", s.Store.SigningKeys)
}

// CodeByID may have a fault.
func (s *Store) CodeByID(ctx context.Context, id store.LookupID) (store.Code, error) {
	return call(ctx, s, "CodeByID", func(ctx context.Context) (store.Code, error) { return s.Store.CodeByID(ctx, id) })
}

// RefreshByID may have a fault.
func (s *Store) RefreshByID(ctx context.Context, id store.LookupID) (store.Refresh, store.Family, error) {
	var family store.Family
	refresh, err := call(ctx, s, "RefreshByID", func(ctx context.Context) (refresh store.Refresh, err error) {
		refresh, family, err = s.Store.RefreshByID(ctx, id)
		return refresh, err
	})
	return refresh, family, err
}

// Redeem may have a fault.
func (s *Store) Redeem(ctx context.Context, id store.LookupID, g store.Grant, limit int) error {
	return exec(ctx, s, "Redeem", func(ctx context.Context) error { return s.Store.Redeem(ctx, id, g, limit) })
}

// CreateClientToken may have a fault.
func (s *Store) CreateClientToken(ctx context.Context, t store.Token) error {
	return exec(ctx, s, "CreateClientToken", func(ctx context.Context) error { return s.Store.CreateClientToken(ctx, t) })
}

// RevokeToken may have a fault.
func (s *Store) RevokeToken(ctx context.Context, by store.Principal, kind store.TokenKind, id store.LookupID) error {
	return exec(ctx, s, "RevokeToken", func(ctx context.Context) error { return s.Store.RevokeToken(ctx, by, kind, id) })
}

// EndFamily may have a fault.
func (s *Store) EndFamily(ctx context.Context, by store.Principal, id store.LookupID, why string) error {
	return exec(ctx, s, "EndFamily", func(ctx context.Context) error { return s.Store.EndFamily(ctx, by, id, why) })
}

// AddSecret may have a fault.
func (s *Store) AddSecret(ctx context.Context, by store.Principal, secret store.Secret, othersUntil time.Time) error {
	return exec(ctx, s, "AddSecret", func(ctx context.Context) error { return s.Store.AddSecret(ctx, by, secret, othersUntil) })
}
