package directory

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// localDomain stands for an issuer whose host is no name that an e-mail address can have.
const localDomain = "localhost"

// botPrefix begins the e-mail address of every bot, and of nobody else: bot+<id>@<host of the issuer>.
const botPrefix = "bot+"

// botEmail is the address of a bot, which no mail reaches: it is the bot's name where people have theirs.
func (d *Directory) botEmail(id string) string {
	domain := localDomain
	if u, err := url.Parse(d.options.PublicURL); err == nil {
		host := strings.ToLower(u.Hostname())
		if _, err := netip.ParseAddr(host); err != nil && host != "" && isDomain(host) {
			domain = host
		}
	}
	return botPrefix + id + "@" + domain
}

// isBotEmail says whether an address has the form of a bot's, which people may not take.
func isBotEmail(address string) bool {
	id, found := strings.CutPrefix(address, botPrefix)
	id, _, _ = strings.Cut(id, "@")
	return found && secret.ValidUserID(id)
}

// CreateBot makes a bot of the account and returns its API secret this once. FieldErrors hold the faults of the name. A
// person must be an admin of the account, else it does not exist (store.ErrNotFound). *KeyLimitError: the account has
// enough.
func (d *Directory) CreateBot(ctx context.Context, by store.Principal, accountID, name string) (store.Bot, secret.Credential, error) {
	fail := func(err error) (store.Bot, secret.Credential, error) {
		return store.Bot{}, secret.Credential{}, err
	}
	if err := d.mayManage(ctx, by, accountID, "account", accountID); err != nil {
		return fail(err)
	}
	id := secret.NewUserID()
	b := store.Bot{
		ID: id, AccountID: accountID, Email: d.botEmail(id), APIKey: secret.NewPublicID("bot_"),
		CreatedBy: by.UserID(), CreatedAt: d.store.Now(),
	}
	var fault string
	if b.Name, fault = checkName(name, "Enter a name for the bot."); fault != "" {
		return fail(FieldErrors{"name": fault})
	}
	c := d.format.New(secret.Bot)
	err := d.store.CreateBot(ctx, by, b, d.secretRow(b.APIKey, c))
	if errors.Is(err, store.ErrLimit) {
		return fail(&KeyLimitError{What: "bots", Most: store.MaxBots})
	}
	if err != nil {
		return fail(fmt.Errorf("create bot in account %s: %w", accountID, err))
	}
	return b, c, nil
}

// Bot returns a bot, named by its id, its API key or its e-mail address, to an admin of its account
// and to the operator. For every other party it does not exist (store.ErrNotFound).
func (d *Directory) Bot(ctx context.Context, by store.Principal, ref string) (store.Bot, error) {
	if err := by.Permitted(); err != nil {
		return store.Bot{}, err
	}
	id := ref
	if isBotEmail(ref) {
		u, err := d.resolveUser(ctx, ref)
		if err != nil {
			return store.Bot{}, err
		}
		id = u.ID
	}
	b, err := d.store.BotByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.Bot{}, &NotFoundError{What: "bot", Ref: ref}
	}
	if err != nil {
		return store.Bot{}, fmt.Errorf("find bot: %w", err)
	}
	if err := d.mayManage(ctx, by, b.AccountID, "bot", ref); err != nil {
		return store.Bot{}, err
	}
	return b, nil
}

// HasBot reports whether the account has the bot with that id.
func (d *Directory) HasBot(ctx context.Context, accountID, botID string) (bool, error) {
	b, err := d.store.BotByID(ctx, botID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find bot: %w", err)
	}
	return b.ID == botID && b.AccountID == accountID, nil
}

// Bots lists the bots of all accounts of which the user is an admin, newest first.
func (d *Directory) Bots(ctx context.Context, by store.Principal) ([]store.Bot, error) {
	userID, err := userOf(by)
	if err != nil {
		return nil, err
	}
	return d.store.BotsByUser(ctx, userID)
}

// BotSecrets lists the API secrets with which the bot works now, newest first.
func (d *Directory) BotSecrets(ctx context.Context, by store.Principal, botID string) ([]store.Secret, error) {
	b, err := d.Bot(ctx, by, botID)
	if err != nil {
		return nil, err
	}
	return d.store.SecretsByClient(ctx, b.APIKey)
}

// RotateBot gives the bot another API secret, which is returned this once; its API key stays. The secret before it works
// until then, as RotateKey says.
func (d *Directory) RotateBot(ctx context.Context, by store.Principal, botID string, othersUntil time.Time) (secret.Credential, error) {
	b, err := d.Bot(ctx, by, botID)
	if err != nil {
		return secret.Credential{}, err
	}
	return d.rotate(ctx, by, b.APIKey, secret.Bot, othersUntil)
}

// RevokeBotSecret ends one API secret of a bot at once, with the tokens that were got with it. Errors as RevokeKeySecret.
func (d *Directory) RevokeBotSecret(ctx context.Context, by store.Principal, botID string, id secret.ID) error {
	b, err := d.Bot(ctx, by, botID)
	if err != nil {
		return err
	}
	if err := d.store.RevokeSecret(ctx, by, b.APIKey, store.LookupID(id)); err != nil {
		return fmt.Errorf("revoke secret %s of bot %s: %w", id, botID, err)
	}
	return nil
}

// RemoveBot is final: the bot and all of its tokens are dead when it returns.
func (d *Directory) RemoveBot(ctx context.Context, by store.Principal, botID string) error {
	b, err := d.Bot(ctx, by, botID)
	if err != nil {
		return err
	}
	if err := d.store.RemoveBot(ctx, by, b.ID); err != nil {
		return fmt.Errorf("remove bot %s: %w", b.ID, err)
	}
	return nil
}
