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
	return []any{toText(&b.ID), toText(&b.AccountID), toText(&b.Email), toText(&b.Name), toText(&b.APIKey), toText(&b.CreatedBy),
		toTime(&b.CreatedAt), toTime(&b.DisabledAt)}
}

// selectBots is completed by a condition. $1 is the time.
var selectBots = `SELECT ` + botColumns + `, c.name, ` + ofSecrets("b.api_key") + `
FROM bots b JOIN users u ON u.id = b.id AND u.deleted_at IS NULL JOIN accounts c ON c.id = b.account_id AND c.deleted_at IS NULL
WHERE `

func readBot(scan scanner) (b store.Bot, err error) {
	err = scan(append(toBot(&b), toText(&b.AccountName), toText(&b.Hint), toTime(&b.LastUsedAt))...)
	return b, err
}

const (
	countBots = `SELECT COUNT(*) FROM bots b JOIN users u ON u.id = b.id AND u.deleted_at IS NULL WHERE b.account_id = $1`
	// A bot has no password: nothing but its secret opens it.
	insertBotUser = `INSERT INTO users (id, email, name, password, operator, created_at, bot) VALUES ($1, $2, $3, '', 0, $4, 1)`
	insertBot     = `INSERT INTO bots (id, account_id, api_key, created_by, created_at) VALUES ($1, $2, $3, $4, $5)`
)

// CreateBot implements store.Bots.
func (s *Store) CreateBot(ctx context.Context, by store.Principal, b store.Bot, first store.Secret) (err error) {
	defer tried(&err, "create bot %s", b.ID)
	if err := by.Permitted(); err != nil {
		return err
	}
	if !isBot(b.APIKey) {
		return store.ErrInvalid // who holds secrets is told by the prefix
	}
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := roomInAccount(ctx, q, b.AccountID, countBots, store.MaxBots); err != nil {
			return err
		}
		created := at(b.CreatedAt)
		if _, err := q.exec(ctx, insertBotUser, b.ID, b.Email, b.Name, created); err != nil {
			return err
		}
		if _, err := q.exec(ctx, insertMember, b.AccountID, b.ID, string(scope.RoleBot), created); err != nil {
			return err
		}
		if _, err := q.exec(ctx, insertBot, b.ID, b.AccountID, b.APIKey, b.CreatedBy, created); err != nil {
			return err
		}
		first.ClientID = b.APIKey
		if err := addSecret(ctx, q, first); err != nil {
			return err
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventBotCreated, AccountID: b.AccountID, Subject: b.ID})
	})
}

var (
	selectBot        = selectBots + `(b.id = $2 OR b.api_key = $2)`
	selectBotsByUser = selectBots + ofAdmin("b") + ` ORDER BY b.created_at DESC, b.id DESC`
	selectBotsPage   = selectBots + `b.id > $2 AND ($4 = '' OR b.account_id = $4)` + searching("$5", "b.id", "b.api_key", "u.name") + ` ORDER BY b.id LIMIT $3`
)

// BotByID implements store.Bots.
func (s *Store) BotByID(ctx context.Context, id string) (b store.Bot, err error) {
	defer tried(&err, "bot %s", id)
	list, err := collect(ctx, s.read(), readBot, selectBot, s.micros(), id)
	return only(list, err)
}

// BotsByUser implements store.Bots.
func (s *Store) BotsByUser(ctx context.Context, userID string) (list []store.Bot, err error) {
	defer tried(&err, "bots of user %s", userID)
	return collect(ctx, s.read(), readBot, selectBotsByUser, s.micros(), userID)
}

// ListBots implements store.Bots.
func (s *Store) ListBots(ctx context.Context, p store.Page) (list []store.Bot, err error) {
	defer tried(&err, "list bots")
	return collect(ctx, s.read(), readBot, selectBotsPage, s.micros(), p.After, limit(p.Limit), p.Account, pattern(p.Search))
}

const selectAccountOfBot = `SELECT b.account_id FROM bots b JOIN users u ON u.id = b.id WHERE b.id = $1 AND u.deleted_at IS NULL`

// RemoveBot implements store.Bots.
func (s *Store) RemoveBot(ctx context.Context, by store.Principal, id string) (err error) {
	defer tried(&err, "remove bot %s", id)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventBotRemoved, Subject: id}
		if err := q.row(ctx, selectAccountOfBot, []any{id}, &e.AccountID); err != nil {
			return err
		}
		return s.deleteUser(ctx, q, by, id, e)
	})
}

// selectBotBySecret reads a bot and what it hangs on, by primary key and by the unique key of bots.
const selectBotBySecret = `SELECT ` + secretColumns + `, ` + botColumns + `, ` + accountColumns + `, ` + userColumns + `, u.deleted_at, m.role
FROM client_secrets s
JOIN bots b ON b.api_key = s.client_id
JOIN accounts c ON c.id = b.account_id AND c.deleted_at IS NULL
JOIN users u ON u.id = b.id
LEFT JOIN members m ON m.account_id = b.account_id AND m.user_id = b.id
WHERE s.id = $1`

// BotBySecret implements store.Integrations.
func (s *Store) BotBySecret(ctx context.Context, id store.LookupID) (a store.BotAccess, err error) {
	defer tried(&err, "look up bot by secret %s", secret.ID(id))
	var holder nullableUser
	dest := append(append(toSecret(&a.Secret), toBot(&a.Bot)...), toAccount(&a.Account)...)
	dest = append(holder.appendTo(dest, &a.User), toRole(&a.Role))
	if err := s.read().row(ctx, selectBotBySecret, []any{id[:]}, dest...); err != nil {
		return store.BotAccess{}, err
	}
	a.AccountLive = a.Account.DisabledAt.IsZero()
	a.UserLive = holder.live(&a.User)
	return a, nil
}

// isBot says whether a client id is a bot's.
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
