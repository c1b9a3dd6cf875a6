package sqlstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

const insertSecret = `INSERT INTO client_secrets (id, client_id, hash, hint, hint_after, created_at, expires_at) VALUES ($1, $2, $3, $4, 0, $5, $6)`

func addSecret(ctx context.Context, q querier, c store.Secret) error {
	_, err := q.exec(ctx, insertSecret, c.ID[:], c.ClientID, c.Hash, c.Hint, at(c.CreatedAt), at(c.ExpiresAt))
	return err
}

// hintOfSecret is the hint of s as it is shown: with a question mark for each character after the stored ones.
const hintOfSecret = `s.hint || SUBSTR('??????', 1, s.hint_after)`

// secretColumns are read by toSecret; the table is s.
const secretColumns = `s.id, s.client_id, s.hash, ` + hintOfSecret + `, s.created_at, s.expires_at, s.revoked_at`

func toSecret(c *store.Secret) []any {
	return []any{toID(&c.ID), toText(&c.ClientID), &c.Hash, toText(&c.Hint), toTime(&c.CreatedAt), toTime(&c.ExpiresAt), toTime(&c.RevokedAt)}
}

// selectSecretsOf is completed by the clients. $1 is the time.
const selectSecretsOf = `SELECT s.id, s.client_id, s.hash, ` + hintOfSecret + `, s.created_at, s.expires_at, l.used_at
FROM client_secrets s LEFT JOIN last_used l ON l.id = s.id
WHERE s.client_id <> '' AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > $1) AND s.client_id `

const newestFirst = ` ORDER BY s.created_at DESC, s.id DESC`

const selectSecrets = selectSecretsOf + `= $2` + newestFirst

// secretsBatch is how many clients one statement is about.
const secretsBatch = 50

// selectSecretsOfMany has a parameter for each client of a batch; those left over are ”, which no client is called.
var selectSecretsOfMany = selectSecretsOf + `IN (` + parameters(2, secretsBatch) + `)` + newestFirst

func readSecret(scan scanner) (c store.Secret, err error) {
	err = scan(toID(&c.ID), &c.ClientID, &c.Hash, &c.Hint, toTime(&c.CreatedAt), toTime(&c.ExpiresAt), toTime(&c.LastUsedAt))
	return c, err
}

// SecretsByClient implements store.Secrets.
func (s *Store) SecretsByClient(ctx context.Context, clientID string) (list []store.Secret, err error) {
	defer tried(&err, "secrets of %s", clientID)
	return collect(ctx, s.read(), readSecret, selectSecrets, s.micros(), clientID)
}

// SecretsByClients implements store.Secrets.
func (s *Store) SecretsByClients(ctx context.Context, clientIDs []string) (byClient map[string][]store.Secret, err error) {
	defer tried(&err, "secrets of %d clients", len(clientIDs))
	byClient = map[string][]store.Secret{}
	for batch := range slices.Chunk(clientIDs, secretsBatch) {
		args := []any{s.micros()}
		for i := range secretsBatch {
			id := ""
			if i < len(batch) {
				id = batch[i]
			}
			args = append(args, id)
		}
		list, err := collect(ctx, s.read(), readSecret, selectSecretsOfMany, args...)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			byClient[c.ClientID] = append(byClient[c.ClientID], c)
		}
	}
	return byClient, nil
}

const selectSecret = `SELECT ` + secretColumns + ` FROM client_secrets s WHERE s.id = $1`

// SecretByID implements store.Secrets.
func (s *Store) SecretByID(ctx context.Context, id store.LookupID) (c store.Secret, err error) {
	defer tried(&err, "look up secret %s", secret.ID(id))
	err = s.read().row(ctx, selectSecret, []any{id[:]}, toSecret(&c)...)
	return c, err
}

const (
	// The row is written, although nothing in it may change, because that is a lock in both databases: of several
	// AddSecret at the same time, each sees what the one before it did.
	touchApp = `UPDATE apps SET updated_at = $2
WHERE id = $1 AND confidential = 1 AND suspended_at IS NULL AND deleted_at IS NULL`
	touchResource = `UPDATE resource_servers SET name = name WHERE id = $1 AND removed_at IS NULL`
	touchAPIKey   = `UPDATE api_keys SET name = name WHERE id = $1 AND revoked_at IS NULL
AND EXISTS (SELECT 1 FROM accounts c WHERE c.id = api_keys.account_id AND c.disabled_at IS NULL AND c.deleted_at IS NULL)`
	touchBot = `UPDATE users SET name = name WHERE deleted_at IS NULL AND id = (
	SELECT b.id FROM bots b JOIN accounts c ON c.id = b.account_id WHERE b.api_key = $1 AND c.disabled_at IS NULL AND c.deleted_at IS NULL)`
	// What ends at once is revoked: an expiry is only as exact as a replica's idea of the time.
	expireSecrets = `UPDATE client_secrets SET expires_at = $2, revoked_at = CASE WHEN $2 <= $3 THEN $3 ELSE revoked_at END
WHERE client_id = $1 AND client_id <> '' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`
	countSecrets = `SELECT COUNT(*) FROM client_secrets
WHERE client_id = $1 AND client_id <> '' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`
)

// AddSecret implements store.Secrets.
func (s *Store) AddSecret(ctx context.Context, by store.Principal, c store.Secret, othersUntil time.Time) (err error) {
	defer tried(&err, "add secret to %s", c.ClientID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		now := s.micros()
		if err := lockClient(ctx, q, c.ClientID, now); err != nil {
			return err
		}
		if !othersUntil.IsZero() {
			if _, err := q.exec(ctx, expireSecrets, c.ClientID, at(othersUntil), now); err != nil {
				return err
			}
		}
		var live int
		if err := q.row(ctx, countSecrets, []any{c.ClientID, now}, &live); err != nil {
			return err
		}
		if live >= store.MaxSecrets {
			return store.ErrLimit
		}
		if err := addSecret(ctx, q, c); err != nil {
			return err
		}
		return s.recordSecret(ctx, q, by, store.EventSecretCreated, c.ClientID, c.ID)
	})
}

// lockClient holds a live client that may have secrets until the transaction ends; store.ErrEnded if it is none.
func lockClient(ctx context.Context, q querier, clientID string, now int64) error {
	var locked int64
	var err error
	switch {
	case isResource(clientID):
		locked, err = q.exec(ctx, touchResource, clientID)
	case isAPIKey(clientID):
		locked, err = q.exec(ctx, touchAPIKey, clientID)
	case isBot(clientID):
		locked, err = q.exec(ctx, touchBot, clientID)
	default:
		locked, err = q.exec(ctx, touchApp, clientID, now)
	}
	if err == nil && locked == 0 {
		return store.ErrEnded
	}
	return err
}

const revokeSecret = `UPDATE client_secrets SET revoked_at = $3
WHERE id = $1 AND client_id = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)`

// RevokeSecret implements store.Secrets.
func (s *Store) RevokeSecret(ctx context.Context, by store.Principal, clientID string, id store.LookupID) (err error) {
	defer tried(&err, "revoke secret %s of %s", secret.ID(id), clientID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := one(q.exec(ctx, revokeSecret, id[:], clientID, s.micros())); err != nil {
			return err
		}
		return s.recordSecret(ctx, q, by, store.EventSecretRevoked, clientID, id)
	})
}

const (
	selectAccountOfKey    = `SELECT account_id FROM api_keys WHERE id = $1`
	selectAccountOfBotKey = `SELECT account_id FROM bots WHERE api_key = $1`
)

// recordSecret records what happened to a secret, under the account that owns the app, key or bot.
func (s *Store) recordSecret(ctx context.Context, q querier, by store.Principal, kind, clientID string, id store.LookupID) error {
	e := store.Event{Kind: kind, Subject: secret.ID(id).String()}
	var err error
	switch {
	case isResource(clientID):
		e.Detail = clientID
	case isAPIKey(clientID):
		e.Detail = clientID
		err = q.row(ctx, selectAccountOfKey, []any{clientID}, &e.AccountID)
	case isBot(clientID):
		e.Detail = clientID
		err = q.row(ctx, selectAccountOfBotKey, []any{clientID}, &e.AccountID)
	default:
		e.AppID = clientID
		e.AccountID, err = s.accountOfApp(ctx, q, clientID)
	}
	if err != nil && !notFound(err) {
		return err
	}
	return s.record(ctx, q, by, e)
}

// isResource says whether a client id is a resource server's.
func isResource(clientID string) bool { return strings.HasPrefix(clientID, "rs_") }
