package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

// liveRoots finds an installation with the rows that it depends on, if all are live. A condition on i follows. Where it
// guards another table's row it stands in a scalar subquery, x = (SELECT i.id … AND i.id = x): that one is looked up by
// key whatever Postgres thinks of the tables' sizes, while an EXISTS may become a join from the other end.
const liveRoots = `FROM installations i
JOIN apps a ON a.id = i.app_id AND a.suspended_at IS NULL AND a.deleted_at IS NULL
JOIN accounts c ON c.id = i.account_id AND c.disabled_at IS NULL AND c.deleted_at IS NULL
JOIN users u ON u.id = i.user_id AND u.disabled_at IS NULL AND u.deleted_at IS NULL
JOIN members m ON m.account_id = i.account_id AND m.user_id = i.user_id
WHERE i.removed_at IS NULL`

const installationColumns = `i.id, i.user_id, i.account_id, i.app_id, i.scopes, i.created_at, i.updated_at, i.removed_at, i.profile,
i.redirects`

func toInstallation(i *store.Installation) []any {
	return []any{
		scanText(&i.ID), scanText(&i.UserID), scanText(&i.AccountID), scanText(&i.AppID), scanScopes(&i.Scopes), scanTime(&i.CreatedAt),
		scanTime(&i.UpdatedAt), scanTime(&i.RemovedAt), scanBool(&i.Profile), scanText(&i.Redirects),
	}
}

// selectInstallable reads the scopes of the app, if the app, the account, the user and the membership are live and
// the redirect URI is registered. It is completed by the lock that keeps it so until the transaction ends.
const selectInstallable = `SELECT a.scopes
FROM apps a, accounts c, users u, members m
WHERE a.id = $1 AND a.suspended_at IS NULL AND a.deleted_at IS NULL
AND EXISTS (SELECT 1 FROM app_redirect_uris r WHERE r.app_id = a.id AND r.uri = $2)
AND c.id = $3 AND c.disabled_at IS NULL AND c.deleted_at IS NULL
AND u.id = $4 AND u.disabled_at IS NULL AND u.deleted_at IS NULL
AND m.account_id = c.id AND m.user_id = u.id`

// Install implements store.Installations.
func (s *Store) Install(ctx context.Context, by store.Principal, a store.Approval) (i store.Installation, err error) {
	defer wrapErr(&err, "install app %s on account %s", a.Installation.AppID, a.Installation.AccountID)
	err = s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		now := s.Now()
		appID, err := s.decide(ctx, q, a.Request, a.Session, now.UnixMicro(), store.DecisionAllow+a.Installation.AccountID)
		if err != nil {
			return err
		}
		i = a.Installation
		if appID != i.AppID {
			return fmt.Errorf("%w: the request is another app's", store.ErrConflict)
		}
		var allowed scope.Set
		err = q.row(ctx, selectInstallable+s.dialect.shareLock, []any{i.AppID, a.RedirectURI, i.AccountID, i.UserID}, scanScopes(&allowed))
		if notFound(err) || err == nil && !allowed.Covers(i.Scopes) {
			return store.ErrEnded
		}
		if err != nil {
			return err
		}
		i.CreatedAt, i.UpdatedAt = now, now
		kind, err := s.createOrWiden(ctx, q, &i)
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, store.Event{
			Kind: kind, AccountID: i.AccountID, AppID: i.AppID, InstallationID: i.ID, Detail: a.Installation.Scopes.String(),
		})
	})
	if err != nil {
		return store.Installation{}, err
	}
	return i, nil
}

const (
	insertInstallation = `INSERT INTO installations (id, user_id, account_id, app_id, scopes, created_at, updated_at, profile, redirects)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (user_id, account_id, app_id) WHERE user_id <> '' AND removed_at IS NULL DO NOTHING`
	selectLive = `SELECT ` + installationColumns + ` FROM installations i
WHERE i.user_id = $1 AND i.user_id <> '' AND i.account_id = $2 AND i.app_id = $3 AND i.removed_at IS NULL`
	updateApproved = `UPDATE installations SET scopes = $2, updated_at = $3, profile = $4, redirects = $5 WHERE id = $1`
)

// createOrWiden makes i the live installation of its three, or adds its scopes to the one there is and sets i to that.
// It returns what happened, as the kind of event.
func (s *Store) createOrWiden(ctx context.Context, q querier, i *store.Installation) (string, error) {
	// Another transaction may create the live one before our insert, or remove it before our look; then we look, or
	// insert, again.
	for range 3 {
		n, err := q.exec(ctx, insertInstallation, i.ID, i.UserID, i.AccountID, i.AppID, i.Scopes.String(), at(i.CreatedAt), at(i.UpdatedAt),
			flag(i.Profile), i.Redirects)
		if err != nil {
			return "", err
		}
		if n == 1 {
			return store.EventInstallationCreated, nil
		}
		var live store.Installation
		err = q.row(ctx, selectLive+s.dialect.updateLock, []any{i.UserID, i.AccountID, i.AppID}, toInstallation(&live)...)
		if notFound(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		return store.EventInstallationApproved, widen(ctx, q, i, live)
	}
	return "", fmt.Errorf("%w: the installation is created and removed all the time", store.ErrConflict)
}

func widen(ctx context.Context, q querier, i *store.Installation, live store.Installation) error {
	union := live.Scopes.Union(i.Scopes)
	if _, err := scope.ParseSet(union.String()); err != nil {
		return fmt.Errorf("%w: all consents together: %w", store.ErrLimit, err)
	}
	updated, profile, redirects := i.UpdatedAt, live.Profile || i.Profile, unite(live.Redirects, i.Redirects)
	*i = live
	if union.Equal(live.Scopes) && profile == live.Profile && redirects == live.Redirects {
		return nil
	}
	i.Scopes, i.UpdatedAt, i.Profile, i.Redirects = union, updated, profile, redirects
	_, err := q.exec(ctx, updateApproved, i.ID, union.String(), at(updated), flag(profile), redirects)
	return err
}

// maxRedirectsKept bounds the hosts that an installation remembers. An app has far fewer redirect URIs at a time; of one that fell
// out, the user is asked again.
const maxRedirectsKept = 20

// unite adds the words of more to those of list.
func unite(list, more string) string {
	all := strings.Fields(list)
	for _, word := range strings.Fields(more) {
		if !slices.Contains(all, word) {
			all = append(all, word)
		}
	}
	return strings.Join(all[max(0, len(all)-maxRedirectsKept):], " ")
}

// selectConsentAccounts reads the accounts of user $1, and on each the live installation of app $2, if there is one.
const selectConsentAccounts = `SELECT ` + memberColumns + `, ` + installationColumns + memberRows + `
LEFT JOIN installations i ON i.user_id = m.user_id AND i.user_id <> '' AND i.account_id = m.account_id AND i.app_id = $2 AND i.removed_at IS NULL
	AND EXISTS (SELECT 1 FROM apps a WHERE a.id = $2 AND a.deleted_at IS NULL)
WHERE m.user_id = $1 ORDER BY m.joined_at, m.account_id`

// ConsentAccounts implements store.Installations.
func (s *Store) ConsentAccounts(ctx context.Context, userID, appID string) (members []store.Member, live []store.Installation, err error) {
	defer wrapErr(&err, "accounts of user %s for app %s", userID, appID)
	err = s.read().rows(ctx, selectConsentAccounts, []any{userID, appID}, func(scan scanner) error {
		var m store.Member
		var i store.Installation
		if err := scan(append(toMember(&m), toInstallation(&i)...)...); err != nil {
			return err
		}
		members = append(members, m)
		if i.ID != "" {
			live = append(live, i)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return members, live, nil
}

// installedApp counts live tokens by the rule in installed.go. Last use comes from installation_uses, and by the
// tokens there are where a replica of an older version has noted a use.
const installedColumns = installationColumns + `, a.name, a.homepage, a.verified_at, c.name, u.name, u.email,
CASE WHEN m.user_id IS NULL OR u.deleted_at IS NOT NULL THEN 0
ELSE (SELECT COUNT(*) ` + liveTokens + `) + (SELECT COUNT(*) ` + liveFamilies + `) END,
(SELECT MAX(l.used_at) FROM tokens t JOIN last_used l ON l.id = t.id
	WHERE t.installation_id = i.id AND t.installation_id <> '' AND t.revoked_at IS NULL),
(SELECT MAX(l.used_at) FROM expiring_tokens t JOIN last_used l ON l.id = t.id
	WHERE t.installation_id = i.id AND t.installation_id <> ''),
(SELECT l.used_at FROM installation_uses l WHERE l.installation_id = i.id),
a.scopes, m.role
`

const installedRoots = `JOIN apps a ON a.id = i.app_id AND a.deleted_at IS NULL
JOIN accounts c ON c.id = i.account_id AND c.deleted_at IS NULL
JOIN users u ON u.id = i.user_id
LEFT JOIN members m ON m.account_id = i.account_id AND m.user_id = i.user_id
`

const installedApp = `SELECT ` + installedColumns + `FROM installations i ` + installedRoots

func readInstalledApp(scan scanner) (i store.InstalledApp, err error) {
	var verified, expiring, ever time.Time
	err = scan(append(toInstallation(&i.Installation), &i.AppName, &i.AppHomepage, scanTime(&verified), &i.AccountName, &i.UserName,
		&i.UserEmail, &i.Tokens, scanTime(&i.LastUsedAt), scanTime(&expiring), scanTime(&ever), scanScopes(&i.AppScopes), scanRole(&i.Role))...)
	i.AppVerified = !verified.IsZero()
	i.LastUsedAt = slices.MaxFunc([]time.Time{i.LastUsedAt, expiring, ever}, time.Time.Compare)
	return i, err
}

// removeInstallation ends an installation with its codes and tokens, with this one row.
var removeInstallation = newOperation(gate{
	update: `UPDATE installations SET removed_at = @event_at, updated_at = @event_at
WHERE id = @installation AND removed_at IS NULL AND (@operator = 1 OR user_id = @manager OR EXISTS (
	SELECT 1 FROM members m WHERE m.account_id = installations.account_id AND m.user_id = @manager AND m.role = 'admin'))`,
	returning: `account_id, app_id`, row: `FROM installations WHERE id = @installation`,
},
	`DELETE FROM installation_uses WHERE installation_id = @installation AND EXISTS (SELECT 1 FROM gate)`,
	recordGate(`account_id`, `app_id`))

// RemoveInstallation implements store.Installations.
func (s *Store) RemoveInstallation(ctx context.Context, by store.Principal, id string) (err error) {
	defer wrapErr(&err, "remove installation %s", id)
	done, err := s.runAs(ctx, by, &removeInstallation, removedEvent(id), manager(by))
	if err == nil && !done {
		return store.ErrNotFound
	}
	return err
}

func removedEvent(id string) store.Event {
	return store.Event{Kind: store.EventInstallationRemoved, InstallationID: id}
}
