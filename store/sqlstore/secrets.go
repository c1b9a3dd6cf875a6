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
	return []any{scanID(&c.ID), scanText(&c.ClientID), &c.Hash, scanText(&c.Hint), scanTime(&c.CreatedAt), scanTime(&c.ExpiresAt), scanTime(&c.RevokedAt)}
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
	err = scan(scanID(&c.ID), &c.ClientID, &c.Hash, &c.Hint, scanTime(&c.CreatedAt), scanTime(&c.ExpiresAt), scanTime(&c.LastUsedAt))
	return c, err
}

// SecretsByClient implements store.Secrets.
func (s *Store) SecretsByClient(ctx context.Context, clientID string) (list []store.Secret, err error) {
	defer wrapErr(&err, "secrets of %s", clientID)
	return collect(ctx, s.read(), readSecret, selectSecrets, s.micros(), clientID)
}

// SecretsByClients implements store.Secrets.
func (s *Store) SecretsByClients(ctx context.Context, clientIDs []string) (byClient map[string][]store.Secret, err error) {
	defer wrapErr(&err, "secrets of %d clients", len(clientIDs))
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
	defer wrapErr(&err, "look up secret %s", secret.ID(id))
	err = s.read().row(ctx, selectSecret, []any{id[:]}, toSecret(&c)...)
	return c, err
}

// clientKind is a kind of owner of secrets. The prefix of a client id identifies the kind.
type clientKind struct {
	// lock keeps a live client that by manages until the transaction ends, and returns its account. The row is written, although
	// nothing in it may change, because that is a lock in both databases: of several AddSecret at the same time, each sees what
	// the one before it did.
	lock   statement
	revoke operation
}

func newClientKind(lock, account, mayEnd string) clientKind {
	return clientKind{lock: named(lock), revoke: newOperation(gate{
		update: `UPDATE client_secrets SET revoked_at = @event_at
WHERE id = @secret AND client_id = @client AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > @event_at) AND ` + mayEnd,
		returning: `id`, row: `FROM client_secrets WHERE id = @secret`,
	}, recordGate(`COALESCE((`+account+`), '')`, `@app`), storeForm)}
}

// The accounts of clients. A deleted app has none.
const (
	accountOfApp = `SELECT a.account_id FROM apps a WHERE a.id = @client AND a.deleted_at IS NULL`
	accountOfKey = `SELECT k.account_id FROM api_keys k WHERE k.id = @client`
	accountOfBot = `SELECT b.account_id FROM bots b WHERE b.api_key = @client`
	liveBot      = ` AND EXISTS (SELECT 1 FROM users u WHERE u.id = b.id AND u.deleted_at IS NULL)`
)

var (
	appClient = newClientKind(`UPDATE apps SET updated_at = @event_at
WHERE id = @client AND confidential = 1 AND suspended_at IS NULL AND deleted_at IS NULL AND `+managedBy("apps.account_id")+`
RETURNING account_id`,
		accountOfApp, managedBy(`(`+accountOfApp+`)`))
	resourceClient = newClientKind(`UPDATE resource_servers SET name = name WHERE id = @client AND removed_at IS NULL AND @operator = 1
RETURNING ''`,
		`SELECT ''`, `@operator = 1`)
	keyClient = newClientKind(`UPDATE api_keys SET name = name WHERE id = @client AND revoked_at IS NULL
AND EXISTS (SELECT 1 FROM accounts c WHERE c.id = api_keys.account_id AND c.disabled_at IS NULL AND c.deleted_at IS NULL)
AND `+managedBy("api_keys.account_id")+` RETURNING account_id`,
		accountOfKey, managedBy(`(`+accountOfKey+` AND k.revoked_at IS NULL)`))
	botClient = newClientKind(`UPDATE users SET name = name WHERE deleted_at IS NULL AND id = (
	SELECT b.id FROM bots b JOIN accounts c ON c.id = b.account_id WHERE b.api_key = @client AND c.disabled_at IS NULL AND c.deleted_at IS NULL
	AND `+managedBy("b.account_id")+`)
RETURNING (SELECT b.account_id FROM bots b WHERE b.id = users.id)`,
		accountOfBot, managedBy(`(`+accountOfBot+liveBot+`)`))
)

func kindOfClient(id string) *clientKind {
	switch {
	case isResource(id):
		return &resourceClient
	case isAPIKey(id):
		return &keyClient
	case isBot(id):
		return &botClient
	}
	return &appClient
}

const liveSecrets = `client_id = @client AND client_id <> '' AND revoked_at IS NULL`

// addSecretOf adds a secret to a locked client, unless too many would stay live, and lets the others end. What ends at once is
// revoked: an expiry is only as exact as a replica's idea of the time.
var addSecretOf = newOperation(gate{
	update: `INSERT INTO client_secrets (id, client_id, hash, hint, hint_after, created_at, expires_at)
SELECT @secret, @client, @hash, @hint, 0, @secret_created, @secret_expires
WHERE @alone = 1 OR (SELECT COUNT(*) FROM client_secrets WHERE ` + liveSecrets + ` AND (expires_at IS NULL OR expires_at > @event_at)) < @max_secrets`,
	returning: `id`, row: `FROM client_secrets WHERE id = @secret`,
},
	`UPDATE client_secrets SET expires_at = @others_until, revoked_at = CASE WHEN @others_until <= @event_at THEN @event_at ELSE revoked_at END
	WHERE `+liveSecrets+` AND id <> @secret AND (expires_at IS NULL OR expires_at > @others_until)
	AND @others_until > 0 AND EXISTS (SELECT 1 FROM gate)`,
	recordGate(`@account`, `@app`), storeForm)

// AddSecret implements store.Secrets.
func (s *Store) AddSecret(ctx context.Context, by store.Principal, c store.Secret, othersUntil time.Time) (err error) {
	defer wrapErr(&err, "add secret to %s", c.ClientID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		now := s.Now()
		e := secretEvent(store.EventSecretCreated, c.ClientID, c.ID)
		err := kindOfClient(c.ClientID).lock.row(ctx, q, append(manager(by), args{{"client", c.ClientID}, {"event_at", at(now)}}...), &e.AccountID)
		if notFound(err) {
			return store.ErrEnded
		}
		if err != nil {
			return err
		}
		done, err := s.runAsIn(ctx, q, by, &addSecretOf, e, append(secretArgs(c), args{
			{"alone", flag(!othersUntil.IsZero() && !othersUntil.After(now))}, {"others_until", at(othersUntil)}, {"max_secrets", store.MaxSecrets},
		}...))
		if err == nil && !done {
			return store.ErrLimit
		}
		return err
	})
}

// secretArgs are the arguments with which a secret is stored.
func secretArgs(c store.Secret) args {
	return args{
		{"secret", c.ID[:]}, {"client", c.ClientID}, {"hash", c.Hash}, {"hint", c.Hint}, {"secret_created", at(c.CreatedAt)}, {"secret_expires", at(c.ExpiresAt)},
	}
}

// firstSecret stores the first secret of a client as a step of the operation that creates the client.
const firstSecret = `INSERT INTO client_secrets (id, client_id, hash, hint, hint_after, created_at, expires_at)
SELECT @secret, @client, @hash, @hint, 0, @secret_created, @secret_expires FROM gate`

// RevokeSecret implements store.Secrets.
func (s *Store) RevokeSecret(ctx context.Context, by store.Principal, clientID string, id store.LookupID) (err error) {
	defer wrapErr(&err, "revoke secret %s of %s", secret.ID(id), clientID)
	done, err := s.runAs(ctx, by, &kindOfClient(clientID).revoke, secretEvent(store.EventSecretRevoked, clientID, id),
		append(manager(by), args{{"secret", id[:]}, {"client", clientID}}...))
	if err == nil && !done {
		return store.ErrNotFound
	}
	return err
}

// secretEvent is an event about a secret, without the account of the client.
func secretEvent(kind, clientID string, id store.LookupID) store.Event {
	e := store.Event{Kind: kind, Subject: secret.ID(id).String()}
	if kindOfClient(clientID) == &appClient {
		e.AppID = clientID
	} else {
		e.Detail = clientID
	}
	return e
}

// isResource reports whether a client id is of a resource server.
func isResource(clientID string) bool { return strings.HasPrefix(clientID, "rs_") }
