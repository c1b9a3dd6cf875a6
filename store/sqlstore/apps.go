package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"xenoauth/internal/secret"
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
	if err = scan(append(toApp(&a), scanText(&a.AccountName), scanText(&uris))...); err != nil {
		return a, err
	}
	a.RedirectURIs = strings.Fields(uris)
	return a, nil
}

// maxRedirectURIs is how many an app has at most.
const maxRedirectURIs = 10

// createApp creates an app of a live account that has fewer apps than the maximum.
var createApp = newOperation(gate{
	update: `INSERT INTO apps (id, account_id, created_by, name, description, homepage, logo_url, scopes, confidential,
expiring, pkce_required, version, created_at, updated_at, verified_at)
SELECT @app, c.id, @created_by, @name, @description, @homepage, @logo_url, @scopes, @confidential, @expiring, @pkce_required, 1, @created, @created, @verified
FROM accounts c WHERE c.id = @account AND c.disabled_at IS NULL AND c.deleted_at IS NULL AND (@max = 0 OR ` + appsOfAccount + ` < @max)`,
	returning: `account_id`, row: `FROM apps WHERE id = @app`,
}, upsertRedirectURIs(), firstSecret+` WHERE @confidential = 1`, recordGate(`account_id`, `@app`), storeForm)

const appsOfAccount = `(SELECT COUNT(*) FROM apps o WHERE o.account_id = @account AND o.account_id <> '' AND o.deleted_at IS NULL)`

// upsertRedirectURIs writes the redirect URIs of an app at their positions, as a step of an operation.
func upsertRedirectURIs() string {
	var rows []string
	for i := range maxRedirectURIs {
		rows = append(rows, fmt.Sprintf(`SELECT @app, %d, @uri%d FROM gate WHERE @uri%d <> ''`, i, i, i))
	}
	return `INSERT INTO app_redirect_uris (app_id, position, uri) ` + strings.Join(rows, " UNION ALL ") +
		` ON CONFLICT (app_id, position) DO UPDATE SET uri = excluded.uri`
}

// redirectURIs are the arguments of upsertRedirectURIs.
func redirectURIs(a store.App) (args, error) {
	if len(a.RedirectURIs) > maxRedirectURIs {
		return nil, fmt.Errorf("%w: %d redirect URIs", store.ErrInvalid, len(a.RedirectURIs))
	}
	values := args{{"uris", len(a.RedirectURIs)}}
	for i := range maxRedirectURIs {
		uri := ""
		if i < len(a.RedirectURIs) {
			uri = a.RedirectURIs[i]
			if uri == "" || strings.ContainsAny(uri, " \t\r\n\v\f\u0085\u00a0") {
				return nil, fmt.Errorf("%w: redirect URI %d is empty or holds a space", store.ErrInvalid, i+1)
			}
		}
		values = append(values, args{{"uri" + strconv.Itoa(i), uri}}...)
	}
	return values, nil
}

// appArgs are the arguments with which an app is stored.
func appArgs(a store.App) (args, error) {
	uris, err := redirectURIs(a)
	return append(uris, args{
		{"app", a.ID}, {"name", a.Name}, {"description", a.Description}, {"homepage", a.Homepage}, {"logo_url", a.LogoURL},
		{"scopes", a.Scopes.String()}, {"expiring", flag(a.Expiring)}, {"pkce_required", flag(a.PKCERequired)},
	}...), err
}

// CreateApp implements store.Apps.
func (s *Store) CreateApp(ctx context.Context, by store.Principal, a store.App, first *store.Secret) (err error) {
	defer wrapErr(&err, "create app %s", a.ID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error { return s.createApp(ctx, q, by, a, first, 0) })
}

// CreateAppWithin implements store.Apps.
func (s *Store) CreateAppWithin(ctx context.Context, by store.Principal, a store.App, first *store.Secret, max int) (err error) {
	defer wrapErr(&err, "create app %s", a.ID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := lockAccount(ctx, q, by, a.AccountID); err != nil {
			return err
		}
		err := s.createApp(ctx, q, by, a, first, max)
		if errors.Is(err, store.ErrEnded) { // the account is live, so it has the maximum of apps
			err = store.ErrLimit
		}
		return err
	})
}

// createApp makes an app of an account that has fewer than max; 0 is any number. ErrEnded: the account is not live, or has no
// room.
func (s *Store) createApp(ctx context.Context, q querier, by store.Principal, a store.App, first *store.Secret, max int) error {
	if a.Confidential != (first != nil) {
		return fmt.Errorf("%w: a confidential app has a first secret, a public one has none", store.ErrInvalid)
	}
	values, err := appArgs(a)
	if err != nil {
		return err
	}
	c := store.Secret{}
	if first != nil {
		c = *first
	}
	c.ClientID = a.ID
	values = append(values, secretArgs(c)...)
	done, err := s.runAsIn(ctx, q, by, &createApp, appEvent(store.EventAppCreated, a.AccountID, a.ID), append(values, args{
		{"created_by", a.CreatedBy}, {"confidential", flag(a.Confidential)}, {"created", at(a.CreatedAt)}, {"verified", at(a.VerifiedAt)}, {"max", max},
	}...))
	if err == nil && !done {
		return store.ErrEnded
	}
	return err
}

const selectApp = selectApps + `a.id = $1`

// AppByID implements store.Apps.
func (s *Store) AppByID(ctx context.Context, id string) (a store.App, err error) {
	defer wrapErr(&err, "app %s", id)
	list, err := collect(ctx, s.read(), readApp, selectApp, id)
	if err != nil {
		return store.App{}, err
	}
	if len(list) == 0 {
		return store.App{}, store.ErrNotFound
	}
	return list[0], nil
}

var selectManagedApp = named(selectApps + `a.id = @app AND ` + managedBy("a.account_id"))

// ManagedApp implements store.Apps.
func (s *Store) ManagedApp(ctx context.Context, by store.Principal, id string) (store.App, error) {
	return s.managedApp(ctx, s.read(), by, id)
}

func (s *Store) managedApp(ctx context.Context, q querier, by store.Principal, id string) (a store.App, err error) {
	defer wrapErr(&err, "app %s for %s", id, by)
	if err := by.Permitted(); err != nil {
		return store.App{}, err
	}
	list, err := collectNamed(ctx, q, readApp, &selectManagedApp, append(manager(by), args{{"app", id}}...))
	return single(list, err)
}

const selectAppsByUser = selectApps + `a.account_id <> ''
AND a.account_id IN (SELECT m.account_id FROM members m WHERE m.user_id = $1 AND m.role = 'admin')
ORDER BY a.created_at DESC, a.id DESC`

// AppsByUser implements store.Apps.
func (s *Store) AppsByUser(ctx context.Context, userID string) (list []store.App, err error) {
	defer wrapErr(&err, "apps of user %s", userID)
	return collect(ctx, s.read(), readApp, selectAppsByUser, userID)
}

var selectAppsPage = selectApps + `a.id > $1 AND ($3 = '' OR a.account_id = $3)` + searching("$4", "a.id", "a.name") + ` ORDER BY a.id LIMIT $2`

// ListApps implements store.Apps.
func (s *Store) ListApps(ctx context.Context, p store.Page) (list []store.App, err error) {
	defer wrapErr(&err, "list apps")
	return collect(ctx, s.read(), readApp, selectAppsPage, p.After, limit(p.Limit), p.Account, pattern(p.Search))
}

// updateApp changes an app of that version. Where it ends the verification, it does so in the same update: a verification
// either was given before it, and ends here, or is refused after it for its version.
var updateApp = newOperation(gate{
	update: `UPDATE apps SET name = @name, description = @description, homepage = @homepage, logo_url = @logo_url, scopes = @scopes, expiring = @expiring,
pkce_required = @pkce_required, updated_at = @event_at, version = version + 1,
verified_at = CASE WHEN @unverify_for = '' THEN verified_at END,
unverified_at = CASE WHEN @unverify_for <> '' AND verified_at IS NOT NULL THEN @event_at ELSE unverified_at END,
unverified_for = CASE WHEN @unverify_for <> '' AND verified_at IS NOT NULL THEN @unverify_for ELSE unverified_for END
WHERE id = @app AND version = @version AND deleted_at IS NULL AND ` + managedBy("apps.account_id"),
	returning: `account_id, unverified_at`, row: `FROM apps WHERE id = @app`,
},
	`DELETE FROM app_redirect_uris WHERE app_id = @app AND position >= @uris AND EXISTS (SELECT 1 FROM gate)`,
	upsertRedirectURIs(), recordGate(`account_id`, `@app`), storeForm,
	intoEvents+`SELECT @unverified_event, @event_at, '`+store.EventAppUnverified+`', @actor_kind, @actor, @ip, account_id, @app, '', '', @unverify_for
	FROM gate WHERE @unverify_for <> '' AND unverified_at = @event_at`)

// UpdateApp implements store.Apps.
func (s *Store) UpdateApp(ctx context.Context, by store.Principal, a store.App, unverifyFor string) (err error) {
	defer wrapErr(&err, "update app %s", a.ID)
	if err := by.Permitted(); err != nil {
		return err
	}
	values, err := appArgs(a)
	if err != nil {
		return err
	}
	event := secret.NewID()
	values = append(append(values, manager(by)...), args{{"version", a.Version}, {"unverify_for", unverifyFor}, {"unverified_event", event[:]}}...)
	done, err := s.runAs(ctx, by, &updateApp, appEvent(store.EventAppUpdated, "", a.ID), values)
	if err != nil || done {
		return err
	}
	if _, err := s.managedApp(ctx, s.db, by, a.ID); err != nil {
		return err
	}
	return store.ErrConflict
}

const (
	suspendApp = `UPDATE apps SET suspended_at = $2 WHERE id = $1 AND deleted_at IS NULL AND suspended_at IS NULL`
	resumeApp  = `UPDATE apps SET suspended_at = NULL WHERE id = $1 AND deleted_at IS NULL AND suspended_at IS NOT NULL`
)

// SetAppSuspended implements store.Apps.
func (s *Store) SetAppSuspended(ctx context.Context, by store.Principal, id string, suspended bool) (err error) {
	defer wrapErr(&err, "set app %s suspended %t", id, suspended)
	if suspended {
		return s.setAppState(ctx, by, id, store.EventAppSuspended, suspendApp, id, s.micros())
	}
	return s.setAppState(ctx, by, id, store.EventAppResumed, resumeApp, id)
}

// setAppState changes one state of an app. If the app has that state already, there is no error and no event.
func (s *Store) setAppState(ctx context.Context, by store.Principal, id, kind, sql string, args ...any) error {
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

// deleteApp ends everything that depends on the app, with this one row.
var deleteApp = newOperation(gate{
	update:    `UPDATE apps SET deleted_at = @event_at WHERE id = @app AND deleted_at IS NULL AND ` + managedBy("apps.account_id"),
	returning: `account_id`, row: `FROM apps WHERE id = @app`,
}, recordGate(`account_id`, `@app`), storeForm)

// DeleteApp implements store.Apps.
func (s *Store) DeleteApp(ctx context.Context, by store.Principal, id string) (err error) {
	defer wrapErr(&err, "delete app %s", id)
	done, err := s.runAs(ctx, by, &deleteApp, appEvent(store.EventAppDeleted, "", id), append(manager(by), args{{"app", id}}...))
	if err == nil && !done {
		return store.ErrNotFound
	}
	return err
}

func appEvent(kind, accountID, appID string) store.Event {
	return store.Event{Kind: kind, AccountID: accountID, AppID: appID}
}
