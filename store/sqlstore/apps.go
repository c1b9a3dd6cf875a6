package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"xenoauth/store"
)

// appColumns are read by toApp; the table is a.
const appColumns = `a.id, a.account_id, a.created_by, a.name, a.description, a.homepage, a.logo_url, a.scopes,
a.confidential, a.expiring, a.pkce_required, a.version, a.created_at, a.updated_at, a.verified_at, a.unverified_at,
a.unverified_for, a.suspended_at`

func appendApp(dest []any, a *store.App) []any {
	return append(dest, scanText(&a.ID), scanText(&a.AccountID), scanText(&a.CreatedBy), scanText(&a.Name), scanText(&a.Description), scanText(&a.Homepage),
		scanText(&a.LogoURL), scanScopes(&a.Scopes), scanBool(&a.Confidential), scanBool(&a.Expiring), scanBool(&a.PKCERequired),
		&a.Version, scanTime(&a.CreatedAt), scanTime(&a.UpdatedAt), scanTime(&a.VerifiedAt),
		scanTime(&a.UnverifiedAt), scanText(&a.UnverifiedFor), scanTime(&a.SuspendedAt))
}

func toApp(a *store.App) []any { return appendApp(nil, a) }

// selectApps reads apps with all that belongs to them; a URI holds no space, so that spaces can stand between several.
const selectApps = `SELECT ` + appColumns + `, c.name,
(SELECT string_agg(r.uri, ' ' ORDER BY r.position) FROM app_redirect_uris r WHERE r.app_id = a.id)
FROM apps a JOIN accounts c ON c.id = a.account_id
WHERE a.deleted_at IS NULL AND `

func readApp(scan scanner) (a store.App, err error) {
	var uris string
	if err = scan(append(toApp(&a), toText(&a.AccountName), toText(&uris))...); err != nil {
		return a, err
	}
	a.RedirectURIs = strings.Fields(uris)
	return a, nil
}

const (
	insertApp = `INSERT INTO apps (id, account_id, created_by, name, description, homepage, logo_url, scopes, confidential,
expiring, pkce_required, version, created_at, updated_at, verified_at)
SELECT $1, c.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, $12, $12, $13
FROM accounts c WHERE c.id = $2 AND c.disabled_at IS NULL AND c.deleted_at IS NULL`
	insertRedirectURI = `INSERT INTO app_redirect_uris (app_id, position, uri) VALUES ($1, $2, $3)`
)

const countAppsOf = `SELECT COUNT(*) FROM apps WHERE account_id = $1 AND account_id <> '' AND deleted_at IS NULL`

// CreateApp implements store.Apps.
func (s *Store) CreateApp(ctx context.Context, by store.Principal, a store.App, first *store.Secret) error {
	return s.createApp(ctx, by, a, first, func(context.Context, querier) error { return nil })
}

// CreateAppWithin implements store.Apps.
func (s *Store) CreateAppWithin(ctx context.Context, by store.Principal, a store.App, first *store.Secret, max int) error {
	return s.createApp(ctx, by, a, first, func(ctx context.Context, q querier) error {
		return roomInAccount(ctx, q, a.AccountID, countAppsOf, max)
	})
}

func (s *Store) createApp(ctx context.Context, by store.Principal, a store.App, first *store.Secret, room func(context.Context, querier) error) (err error) {
	defer tried(&err, "create app %s", a.ID)
	if a.Confidential != (first != nil) {
		return fmt.Errorf("%w: a confidential app has a first secret, a public one has none", store.ErrInvalid)
	}
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := room(ctx, q); err != nil {
			return err
		}
		n, err := q.exec(ctx, insertApp, a.ID, a.AccountID, a.CreatedBy, a.Name, a.Description, a.Homepage, a.LogoURL,
			a.Scopes.String(), flag(a.Confidential), flag(a.Expiring), flag(a.PKCERequired), at(a.CreatedAt), at(a.VerifiedAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrEnded
		}
		if err := insertRedirectURIs(ctx, q, a); err != nil {
			return err
		}
		if first != nil {
			first.ClientID = a.ID
			if err := addSecret(ctx, q, *first); err != nil {
				return err
			}
		}
		return s.record(ctx, q, by, appEvent(store.EventAppCreated, a.AccountID, a.ID))
	})
}

func insertRedirectURIs(ctx context.Context, q querier, a store.App) error {
	for i, uri := range a.RedirectURIs {
		if uri == "" || strings.ContainsAny(uri, " \t\r\n\v\f\u0085\u00a0") {
			return fmt.Errorf("%w: redirect URI %d is empty or holds a space", store.ErrInvalid, i+1)
		}
		if _, err := q.exec(ctx, insertRedirectURI, a.ID, i, uri); err != nil {
			return fmt.Errorf("redirect URI %d: %w", i+1, err)
		}
	}
	return nil
}

const selectApp = selectApps + `a.id = $1`

// AppByID implements store.Apps.
func (s *Store) AppByID(ctx context.Context, id string) (a store.App, err error) {
	defer tried(&err, "app %s", id)
	list, err := collect(ctx, s.read(), readApp, selectApp, id)
	if err != nil {
		return store.App{}, err
	}
	if len(list) == 0 {
		return store.App{}, store.ErrNotFound
	}
	return list[0], nil
}

const selectAppsByUser = selectApps + `a.account_id <> ''
AND a.account_id IN (SELECT m.account_id FROM members m WHERE m.user_id = $1 AND m.role = 'admin')
ORDER BY a.created_at DESC, a.id DESC`

// AppsByUser implements store.Apps.
func (s *Store) AppsByUser(ctx context.Context, userID string) (list []store.App, err error) {
	defer tried(&err, "apps of user %s", userID)
	return collect(ctx, s.read(), readApp, selectAppsByUser, userID)
}

var selectAppsPage = selectApps + `a.id > $1 AND ($3 = '' OR a.account_id = $3)` + searching("$4", "a.id", "a.name") + ` ORDER BY a.id LIMIT $2`

// ListApps implements store.Apps.
func (s *Store) ListApps(ctx context.Context, p store.Page) (list []store.App, err error) {
	defer tried(&err, "list apps")
	return collect(ctx, s.read(), readApp, selectAppsPage, p.After, limit(p.Limit), p.Account, pattern(p.Search))
}

const (
	updateApp = `UPDATE apps SET name = $3, description = $4, homepage = $5, logo_url = $6, scopes = $7, expiring = $8,
pkce_required = $9, updated_at = $10, version = version + 1
WHERE id = $1 AND version = $2 AND deleted_at IS NULL
RETURNING account_id`
	deleteRedirectURIs = `DELETE FROM app_redirect_uris WHERE app_id = $1`
	endVerification    = `UPDATE apps SET verified_at = NULL, unverified_at = $2, unverified_for = $3
WHERE id = $1 AND deleted_at IS NULL AND verified_at IS NOT NULL`
)

// UpdateApp implements store.Apps. The first statement locks the row, so that a verification either stands before it, and
// ends here, or is refused after it for its version.
func (s *Store) UpdateApp(ctx context.Context, by store.Principal, a store.App, unverifyFor string) (err error) {
	defer tried(&err, "update app %s", a.ID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		var accountID string
		err := q.row(ctx, updateApp, []any{a.ID, a.Version, a.Name, a.Description, a.Homepage, a.LogoURL, a.Scopes.String(),
			flag(a.Expiring), flag(a.PKCERequired), s.micros()}, &accountID)
		if notFound(err) {
			if _, err := s.accountOfApp(ctx, q, a.ID); err != nil {
				return err
			}
			return store.ErrConflict
		}
		if err != nil {
			return err
		}
		if _, err := q.exec(ctx, deleteRedirectURIs, a.ID); err != nil {
			return fmt.Errorf("replace redirect URIs: %w", err)
		}
		if err := insertRedirectURIs(ctx, q, a); err != nil {
			return err
		}
		if err := s.record(ctx, q, by, appEvent(store.EventAppUpdated, accountID, a.ID)); err != nil || unverifyFor == "" {
			return err
		}
		ended, err := q.exec(ctx, endVerification, a.ID, s.micros(), unverifyFor)
		if err != nil || ended == 0 {
			return err
		}
		e := appEvent(store.EventAppUnverified, accountID, a.ID)
		e.Detail = unverifyFor
		return s.record(ctx, q, by.WithForm(nil), e) // the form is stored with the first event
	})
}

const (
	suspendApp = `UPDATE apps SET suspended_at = $2 WHERE id = $1 AND deleted_at IS NULL AND suspended_at IS NULL`
	resumeApp  = `UPDATE apps SET suspended_at = NULL WHERE id = $1 AND deleted_at IS NULL AND suspended_at IS NOT NULL`
)

// SetAppSuspended implements store.Apps.
func (s *Store) SetAppSuspended(ctx context.Context, by store.Principal, id string, suspended bool) (err error) {
	defer tried(&err, "set app %s suspended %t", id, suspended)
	if suspended {
		return s.switchApp(ctx, by, id, store.EventAppSuspended, suspendApp, id, s.micros())
	}
	return s.switchApp(ctx, by, id, store.EventAppResumed, resumeApp, id)
}

// switchApp changes one state of an app; that it was so before is no error and no event.
func (s *Store) switchApp(ctx context.Context, by store.Principal, id, kind, sql string, args ...any) error {
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		changed, err := q.exec(ctx, sql, args...)
		if err != nil {
			return err
		}
		accountID, err := s.accountOfApp(ctx, q, id)
		if err != nil || changed == 0 {
			return err
		}
		return s.record(ctx, q, by, appEvent(kind, accountID, id))
	})
}

const selectAccountOfApp = `SELECT account_id FROM apps WHERE id = $1 AND deleted_at IS NULL`

func (s *Store) accountOfApp(ctx context.Context, q querier, id string) (accountID string, err error) {
	err = q.row(ctx, selectAccountOfApp, []any{id}, &accountID)
	return accountID, err
}

const markAppDeleted = `UPDATE apps SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL RETURNING account_id`

// DeleteApp implements store.Apps. Whatever hangs on the app ends with this one row.
func (s *Store) DeleteApp(ctx context.Context, by store.Principal, id string) (err error) {
	defer tried(&err, "delete app %s", id)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		var accountID string
		if err := q.row(ctx, markAppDeleted, []any{id, s.micros()}, &accountID); err != nil {
			return err
		}
		return s.record(ctx, q, by, appEvent(store.EventAppDeleted, accountID, id))
	})
}

func appEvent(kind, accountID, appID string) store.Event {
	return store.Event{Kind: kind, AccountID: accountID, AppID: appID}
}
