package sqlstore

import (
	"context"
	"strings"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// botColumns are read by toBot; the tables are b and u.
const botColumns = `b.id, b.account_id, u.email, u.name, b.api_key, b.created_by, b.created_at, u.disabled_at`

func toBot(b *store.Bot) []any {
	return []any{scanText(&b.ID), scanText(&b.AccountID), scanText(&b.Email), scanText(&b.Name), scanText(&b.APIKey), scanText(&b.CreatedBy),
		scanTime(&b.CreatedAt), scanTime(&b.DisabledAt)}
}

// selectBots is completed by a condition. $1 is the time.
var selectBots = `SELECT ` + botColumns + `, c.name, ` + ofSecrets("b.api_key") + `
FROM bots b JOIN users u ON u.id = b.id AND u.deleted_at IS NULL JOIN accounts c ON c.id = b.account_id AND c.deleted_at IS NULL
WHERE `

func readBot(scan scanner) (b store.Bot, err error) {
	err = scan(append(toBot(&b), scanText(&b.AccountName), scanText(&b.Hint), scanTime(&b.LastUsedAt))...)
	return b, err
}

const (
	countBots = `SELECT COUNT(*) FROM bots b JOIN users u ON u.id = b.id AND u.deleted_at IS NULL WHERE b.account_id = $1`

	botsOfAccount = `(SELECT COUNT(*) FROM bots o JOIN users u ON u.id = o.id AND u.deleted_at IS NULL WHERE o.account_id = @account)`
)

// createBot makes a bot of a locked account. A bot has no password: nothing but its secret opens it.
var createBot = newOperation(gate{
	update: `INSERT INTO users (id, email, name, password, operator, created_at, bot)
SELECT @bot, @email, @name, '', 0, @created, 1 WHERE ` + botsOfAccount + ` < @max`,
	returning: `id`, row: `FROM users WHERE id = @bot`,
},
	`INSERT INTO members (account_id, user_id, role, joined_at) SELECT @account, @bot, '`+string(scope.RoleBot)+`', @created FROM gate`,
	`INSERT INTO bots (id, account_id, api_key, created_by, created_at) SELECT @bot, @account, @client, @created_by, @created FROM gate`,
	firstSecret, recordGate(`@account`, `''`), storeForm)

// CreateBot implements store.Bots.
func (s *Store) CreateBot(ctx context.Context, by store.Principal, b store.Bot, first store.Secret) (err error) {
	defer wrapErr(&err, "create bot %s", b.ID)
	if err := by.Permitted(); err != nil {
		return err
	}
	if !isBot(b.APIKey) {
		return store.ErrInvalid // the prefix of the id identifies the kind of owner
	}
	first.ClientID = b.APIKey
	values := append(secretArgs(first), args{
		{"bot", b.ID}, {"email", b.Email}, {"name", b.Name}, {"created_by", b.CreatedBy}, {"created", at(b.CreatedAt)}, {"max", store.MaxBots},
	}...)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := lockAccount(ctx, q, by, b.AccountID); err != nil {
			return err
		}
		done, err := s.runAsIn(ctx, q, by, &createBot, store.Event{Kind: store.EventBotCreated, AccountID: b.AccountID, Subject: b.ID}, values)
		if err == nil && !done {
			return whyNoRoom(ctx, q, countBots, b.AccountID, store.MaxBots)
		}
		return err
	})
}

var (
	selectBot        = selectBots + `(b.id = $2 OR b.api_key = $2)`
	selectManagedBot = named(strings.ReplaceAll(selectBots, "$1", "@now") + `(b.id = @bot OR b.api_key = @bot) AND ` + managedBy("b.account_id"))
	selectBotsByUser = selectBots + ofAdmin("b") + ` ORDER BY b.created_at DESC, b.id DESC`
	selectBotsPage   = selectBots + `b.id > $2 AND ($4 = '' OR b.account_id = $4)` + searching("$5", "b.id", "b.api_key", "u.name") + ` ORDER BY b.id LIMIT $3`
)

// BotByID implements store.Bots.
func (s *Store) BotByID(ctx context.Context, id string) (b store.Bot, err error) {
	defer wrapErr(&err, "bot %s", id)
	list, err := collect(ctx, s.read(), readBot, selectBot, s.micros(), id)
	return single(list, err)
}

// ManagedBot implements store.Bots.
func (s *Store) ManagedBot(ctx context.Context, by store.Principal, id string) (b store.Bot, err error) {
	defer wrapErr(&err, "bot %s for %s", id, by)
	if err := by.Permitted(); err != nil {
		return store.Bot{}, err
	}
	list, err := collectNamed(ctx, s.read(), readBot, &selectManagedBot, append(manager(by), args{{"now", s.micros()}, {"bot", id}}...))
	return single(list, err)
}

// BotsByUser implements store.Bots.
func (s *Store) BotsByUser(ctx context.Context, userID string) (list []store.Bot, err error) {
	defer wrapErr(&err, "bots of user %s", userID)
	return collect(ctx, s.read(), readBot, selectBotsByUser, s.micros(), userID)
}

// ListBots implements store.Bots.
func (s *Store) ListBots(ctx context.Context, p store.Page) (list []store.Bot, err error) {
	defer wrapErr(&err, "list bots")
	return collect(ctx, s.read(), readBot, selectBotsPage, s.micros(), p.After, limit(p.Limit), p.Account, pattern(p.Search))
}

// removeBot ends a bot as deleteUser ends a person.
var removeBot = newOperation(gate{
	update: `UPDATE users SET deleted_at = @event_at, email = ` + freedEmail + ` WHERE id = @bot AND deleted_at IS NULL
AND EXISTS (SELECT 1 FROM bots b WHERE b.id = users.id AND ` + managedBy("b.account_id") + `)`,
	returning: `id`, row: `FROM users WHERE id = @bot`,
},
	`DELETE FROM members WHERE user_id = @bot AND EXISTS (SELECT 1 FROM gate)`,
	`UPDATE installations SET removed_at = @event_at, updated_at = @event_at
	WHERE user_id = @bot AND user_id <> '' AND removed_at IS NULL AND EXISTS (SELECT 1 FROM gate)`,
	`DELETE FROM sessions WHERE user_id = @bot AND EXISTS (SELECT 1 FROM gate)`,
	`UPDATE codes SET ended_at = @event_at WHERE user_id = @bot AND user_id <> '' AND consumed_at IS NULL AND ended_at IS NULL
	AND EXISTS (SELECT 1 FROM gate)`,
	recordGate(`(SELECT b.account_id FROM bots b WHERE b.id = @bot)`, `''`), storeForm)

// RemoveBot implements store.Bots.
func (s *Store) RemoveBot(ctx context.Context, by store.Principal, id string) (err error) {
	defer wrapErr(&err, "remove bot %s", id)
	done, err := s.runAs(ctx, by, &removeBot, store.Event{Kind: store.EventBotRemoved, Subject: id}, append(manager(by), args{{"bot", id}}...))
	if err == nil && !done {
		return store.ErrNotFound
	}
	return err
}

// selectBotBySecret reads a bot and the rows that it depends on, by primary key and by the unique key of bots.
const selectBotBySecret = `SELECT ` + secretColumns + `, ` + botColumns + `, ` + accountColumns + `, ` + userColumns + `, u.deleted_at, m.role
FROM client_secrets s
JOIN bots b ON b.api_key = s.client_id
JOIN accounts c ON c.id = b.account_id AND c.deleted_at IS NULL
JOIN users u ON u.id = b.id
LEFT JOIN members m ON m.account_id = b.account_id AND m.user_id = b.id
WHERE s.id = $1`

// BotBySecret implements store.Integrations.
func (s *Store) BotBySecret(ctx context.Context, id store.LookupID) (a store.BotAccess, err error) {
	defer wrapErr(&err, "look up bot by secret %s", secret.ID(id))
	var holder nullableUser
	dest := append(append(toSecret(&a.Secret), toBot(&a.Bot)...), toAccount(&a.Account)...)
	dest = append(holder.appendTo(dest, &a.User), scanRole(&a.Role))
	if err := s.read().row(ctx, selectBotBySecret, []any{id[:]}, dest...); err != nil {
		return store.BotAccess{}, err
	}
	a.AccountLive = a.Account.DisabledAt.IsZero()
	a.UserLive = holder.live(&a.User)
	return a, nil
}

// isBot reports whether a client id is of a bot.
func isBot(clientID string) bool { return strings.HasPrefix(clientID, "bot_") }

// nullableUser reads a user that a statement may have found although it was deleted, or may not have found.
type nullableUser struct{ deletedAt time.Time }

// appendTo adds the destinations of userColumns and u.deleted_at.
func (n *nullableUser) appendTo(dest []any, u *store.User) []any {
	return append(appendUser(dest, u), scanTime(&n.deletedAt))
}

// live reports whether there is such a user, neither disabled nor deleted. It clears the password.
func (n *nullableUser) live(u *store.User) bool {
	u.Password = ""
	return u.ID != "" && n.deletedAt.IsZero() && u.DisabledAt.IsZero()
}
