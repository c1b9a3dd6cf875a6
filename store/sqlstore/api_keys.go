package sqlstore

import (
	"context"
	"strings"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// keyColumns are read by toKey; the table is k.
const keyColumns = `k.id, k.account_id, k.user_id, k.roles, k.name, k.created_by, k.created_at`

func toKey(k *store.APIKey) []any {
	return []any{scanText(&k.ID), scanText(&k.AccountID), scanText(&k.UserID), scanRoles(&k.Roles), scanText(&k.Name), scanText(&k.CreatedBy), scanTime(&k.CreatedAt)}
}

// ofSecrets reads, of the live secrets of a client, the hint of the newest and the last use of any. A client has two at
// most. $1 is the time.
func ofSecrets(clientID string) string {
	const live = ` AND s.client_id <> '' AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > $1)`
	return `(SELECT ` + hintOfSecret + ` FROM client_secrets s WHERE s.client_id = ` + clientID + live + ` ORDER BY s.created_at DESC, s.id DESC LIMIT 1),
(SELECT MAX(l.used_at) FROM client_secrets s JOIN last_used l ON l.id = s.id WHERE s.client_id = ` + clientID + live + `)`
}

// selectKeys is completed by a condition. $1 is the time.
var selectKeys = `SELECT ` + keyColumns + `, c.name, u.email, u.name, u.bot, ` + ofSecrets("k.id") + `
FROM api_keys k JOIN accounts c ON c.id = k.account_id AND c.deleted_at IS NULL LEFT JOIN users u ON u.id = k.user_id
WHERE k.revoked_at IS NULL AND `

func readKey(scan scanner) (k store.APIKey, err error) {
	err = scan(append(toKey(&k), scanText(&k.AccountName), scanText(&k.UserEmail), scanText(&k.UserName), scanBool(&k.UserBot), scanText(&k.Hint), scanTime(&k.LastUsedAt))...)
	return k, err
}

// lockLiveAccount keeps a live account that by manages until the transaction ends. The row is written although nothing in it
// changes, because that is a lock in both databases: of several apps, keys or bots that are made at the same time, each is
// counted.
var lockLiveAccount = named(`UPDATE accounts SET name = name WHERE id = @account AND disabled_at IS NULL AND deleted_at IS NULL AND ` + managedBy("accounts.id"))

// selectManagedAccount reads an account, live or disabled, that by manages.
var selectManagedAccount = named(`SELECT c.id FROM accounts c WHERE c.id = @account AND c.deleted_at IS NULL AND ` + managedBy("c.id"))

// lockAccount locks a live account. ErrEnded: it is not live. ErrNotFound: by does not manage it.
func lockAccount(ctx context.Context, q querier, by store.Principal, accountID string) error {
	values := append(manager(by), args{{"account", accountID}}...)
	locked, err := lockLiveAccount.exec(ctx, q, values)
	if err != nil || locked > 0 {
		return err
	}
	var id string
	err = selectManagedAccount.row(ctx, q, values, &id)
	if err == nil || notFound(err) && by.IsOperator() {
		return store.ErrEnded
	}
	return err
}

const (
	keysOfAccount = `(SELECT COUNT(*) FROM api_keys o WHERE o.account_id = @account AND o.account_id <> '' AND o.revoked_at IS NULL)`
	countKeys     = `SELECT COUNT(*) FROM api_keys WHERE account_id = $1 AND account_id <> '' AND revoked_at IS NULL`
)

// createAPIKey makes a key of a locked account.
var createAPIKey = newOperation(gate{
	update: `INSERT INTO api_keys (id, account_id, user_id, roles, name, created_by, created_at)
SELECT @key, c.id, @user, @roles, @name, @created_by, @created FROM accounts c
WHERE c.id = @account AND ` + keysOfAccount + ` < @max AND (@user = '' OR EXISTS (SELECT 1 FROM members m JOIN users u ON u.id = m.user_id
	WHERE m.account_id = c.id AND m.user_id = @user AND u.disabled_at IS NULL AND u.deleted_at IS NULL))`,
	returning: `account_id`, row: `FROM api_keys WHERE id = @key`,
}, firstSecret, recordGate(`account_id`, `''`), storeForm)

// CreateAPIKey implements store.APIKeys.
func (s *Store) CreateAPIKey(ctx context.Context, by store.Principal, k store.APIKey, first store.Secret) (err error) {
	defer wrapErr(&err, "create API key %s", k.ID)
	if err := by.Permitted(); err != nil {
		return err
	}
	roles, err := fromRoles(k.Roles)
	// The prefix of the id identifies the kind of owner.
	if err != nil || !isAPIKey(k.ID) || (roles == "") != (k.UserID == "") {
		return store.ErrInvalid
	}
	detail := "account API key"
	if roles != "" {
		detail = roles + " for " + k.UserID
	}
	first.ClientID = k.ID
	values := append(secretArgs(first), args{
		{"key", k.ID}, {"account", k.AccountID}, {"user", k.UserID}, {"roles", roles}, {"name", k.Name}, {"created_by", k.CreatedBy},
		{"created", at(k.CreatedAt)}, {"max", store.MaxAPIKeys},
	}...)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := lockAccount(ctx, q, by, k.AccountID); err != nil {
			return err
		}
		done, err := s.runAsIn(ctx, q, by, &createAPIKey, store.Event{Kind: store.EventKeyCreated, AccountID: k.AccountID, Subject: k.ID, Detail: detail}, values)
		if err == nil && !done {
			return whyNoRoom(ctx, q, countKeys, k.AccountID, store.MaxAPIKeys)
		}
		return err
	})
}

// whyNoRoom returns ErrLimit if there are max already, else ErrEnded.
func whyNoRoom(ctx context.Context, q querier, count, accountID string, max int) error {
	var n int
	if err := q.row(ctx, count, []any{accountID}, &n); err != nil {
		return err
	}
	if n >= max {
		return store.ErrLimit
	}
	return store.ErrEnded
}

// ManagedAPIKey implements store.APIKeys.
func (s *Store) ManagedAPIKey(ctx context.Context, by store.Principal, id string) (k store.APIKey, err error) {
	defer wrapErr(&err, "API key %s for %s", id, by)
	if err := by.Permitted(); err != nil {
		return store.APIKey{}, err
	}
	list, err := collectNamed(ctx, s.read(), readKey, &selectAPIKey, append(manager(by), args{{"now", s.micros()}, {"key", id}}...))
	return single(list, err)
}

// collectNamed is collect for a statement with named arguments.
func collectNamed[T any](ctx context.Context, q querier, read func(scanner) (T, error), st *statement, values args) ([]T, error) {
	list, err := st.bind(values)
	if err != nil {
		return nil, err
	}
	return collect(ctx, q, read, st.sql, list...)
}

// single is the one element of a list that has one at most.
func single[T any](list []T, err error) (T, error) {
	if err == nil && len(list) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		var none T
		return none, err
	}
	return list[0], nil
}

// ofAdmin is the condition that a row belongs to an account of which user $2 is an admin.
func ofAdmin(table string) string {
	return table + `.account_id <> '' AND ` + table + `.account_id IN
	(SELECT m.account_id FROM members m WHERE m.user_id = $2 AND m.role = 'admin')`
}

var (
	selectAPIKey        = named(strings.ReplaceAll(selectKeys, "$1", "@now") + `k.id = @key AND ` + managedBy("k.account_id"))
	selectAPIKeysByUser = selectKeys + ofAdmin("k") + ` ORDER BY k.created_at DESC, k.id DESC`
	selectAPIKeysPage   = selectKeys + `k.id > $2 AND ($4 = '' OR k.account_id = $4)` + searching("$5", "k.id", "k.name") + ` ORDER BY k.id LIMIT $3`
)

// APIKeysByUser implements store.APIKeys.
func (s *Store) APIKeysByUser(ctx context.Context, userID string) (list []store.APIKey, err error) {
	defer wrapErr(&err, "API keys of user %s", userID)
	return collect(ctx, s.read(), readKey, selectAPIKeysByUser, s.micros(), userID)
}

// ListAPIKeys implements store.APIKeys.
func (s *Store) ListAPIKeys(ctx context.Context, p store.Page) (list []store.APIKey, err error) {
	defer wrapErr(&err, "list API keys")
	return collect(ctx, s.read(), readKey, selectAPIKeysPage, s.micros(), p.After, limit(p.Limit), p.Account, pattern(p.Search))
}

// revokeAPIKey ends everything that depends on the key, with this one row.
var revokeAPIKey = newOperation(gate{
	update:    `UPDATE api_keys SET revoked_at = @event_at WHERE id = @key AND revoked_at IS NULL AND ` + managedBy("api_keys.account_id"),
	returning: `account_id`, row: `FROM api_keys WHERE id = @key`,
}, recordGate(`account_id`, `''`), storeForm)

// RevokeAPIKey implements store.APIKeys.
func (s *Store) RevokeAPIKey(ctx context.Context, by store.Principal, id string) (err error) {
	defer wrapErr(&err, "revoke API key %s", id)
	done, err := s.runAs(ctx, by, &revokeAPIKey, store.Event{Kind: store.EventKeyRevoked, Subject: id}, append(manager(by), args{{"key", id}}...))
	if err == nil && !done {
		return store.ErrNotFound
	}
	return err
}

// selectKeyBySecret reads a key and the rows that it depends on, all by primary key.
const selectKeyBySecret = `SELECT ` + secretColumns + `, ` + keyColumns + `, k.revoked_at, ` + accountColumns + `, ` + userColumns + `, u.deleted_at, m.role
FROM client_secrets s
JOIN api_keys k ON k.id = s.client_id
JOIN accounts c ON c.id = k.account_id AND c.deleted_at IS NULL
LEFT JOIN users u ON u.id = k.user_id
LEFT JOIN members m ON m.account_id = k.account_id AND m.user_id = k.user_id
WHERE s.id = $1`

// KeyBySecret implements store.Integrations.
func (s *Store) KeyBySecret(ctx context.Context, id store.LookupID) (a store.KeyAccess, err error) {
	defer wrapErr(&err, "look up API key by secret %s", secret.ID(id))
	var holder nullableUser
	dest := append(append(toSecret(&a.Secret), toKey(&a.Key)...), scanTime(&a.RevokedAt))
	dest = holder.appendTo(appendAccount(dest, &a.Account), &a.User)
	if err := s.read().row(ctx, selectKeyBySecret, []any{id[:]}, append(dest, scanRole(&a.Role))...); err != nil {
		return store.KeyAccess{}, err
	}
	a.AccountLive = a.Account.DisabledAt.IsZero()
	a.UserLive = holder.live(&a.User)
	return a, nil
}

// isAPIKey reports whether an id is of an API key.
func isAPIKey(id string) bool { return strings.HasPrefix(id, "key_") }

// fromRoles writes roles as a column has them: ascending, each once.
func fromRoles(roles []scope.Role) (string, error) {
	for _, r := range roles {
		if r.Rank() == 0 {
			return "", store.ErrInvalid
		}
	}
	var words []string
	for _, r := range scope.Roles() {
		for _, given := range roles {
			if given == r {
				words = append(words, string(r))
				break
			}
		}
	}
	return strings.Join(words, " "), nil
}
