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

// localDomain replaces the host of an issuer that cannot be the domain of an e-mail address.
const localDomain = "localhost"

// botPrefix starts the e-mail address of every bot, and of no person: bot+<id>@<host of the issuer>.
const botPrefix = "bot+"

// botEmail is the address of a bot. It receives no mail; it identifies the bot where people are identified by their address.
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

// isBotEmail reports whether an address has the form of a bot's, which people cannot use.
func isBotEmail(address string) bool {
	id, found := strings.CutPrefix(address, botPrefix)
	id, _, _ = strings.Cut(id, "@")
	return found && secret.ValidUserID(id)
}

// CreateBot creates a bot in the account and returns its API secret, only here. FieldErrors hold the faults of the name. A user
// must be an admin of the account, else store.ErrNotFound. *KeyLimitError: the account has the maximum number of bots.
func (d *Directory) CreateBot(ctx context.Context, by store.Principal, accountID, name string) (store.Bot, secret.Credential, error) {
	fail := func(err error) (store.Bot, secret.Credential, error) {
		return store.Bot{}, secret.Credential{}, err
	}
	if err := mayManage(by); err != nil {
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
		return fail(&KeyLimitError{What: "bots", Max: store.MaxBots})
	}
	if errors.Is(err, store.ErrNotFound) {
		return fail(&NotFoundError{What: "account", Ref: accountID})
	}
	if err != nil {
		return fail(fmt.Errorf("create bot in account %s: %w", accountID, err))
	}
	return b, c, nil
}

// Bot returns a bot by its id, its API key or its e-mail address to the admins of its account and to the operator. Other parties
// get store.ErrNotFound.
func (d *Directory) Bot(ctx context.Context, by store.Principal, ref string) (store.Bot, error) {
	if err := mayManage(by); err != nil {
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
	b, err := d.store.ManagedBot(ctx, by, id)
	return b, notFound(err, "bot", ref)
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

// BotSecrets returns a bot, as Bot does, and its active API secrets, newest first.
func (d *Directory) BotSecrets(ctx context.Context, by store.Principal, ref string) (store.Bot, []store.Secret, error) {
	b, err := d.Bot(ctx, by, ref)
	if err != nil {
		return store.Bot{}, nil, err
	}
	secrets, err := d.store.SecretsByClient(ctx, b.APIKey)
	if err != nil {
		return store.Bot{}, nil, fmt.Errorf("list secrets of bot %s: %w", b.ID, err)
	}
	return b, secrets, nil
}

// RotateBot adds an API secret to a bot that Bot returned, and returns it, only here; the API key stays. The other secrets are
// valid until othersUntil, as with RotateKey.
func (d *Directory) RotateBot(ctx context.Context, by store.Principal, b store.Bot, othersUntil time.Time) (secret.Credential, error) {
	if err := mayManage(by); err != nil {
		return secret.Credential{}, err
	}
	c, err := d.rotate(ctx, by, b.APIKey, secret.Bot, othersUntil)
	if errors.Is(err, store.ErrEnded) {
		if _, lookUp := d.Bot(ctx, by, b.ID); lookUp != nil {
			return secret.Credential{}, lookUp
		}
	}
	return c, err
}

// RevokeBotSecret ends one API secret of a bot at once, with the tokens that were issued for it. Errors as RevokeKeySecret.
func (d *Directory) RevokeBotSecret(ctx context.Context, by store.Principal, b store.Bot, id secret.ID) error {
	if err := mayManage(by); err != nil {
		return err
	}
	if err := d.store.RevokeSecret(ctx, by, b.APIKey, store.LookupID(id)); err != nil {
		return fmt.Errorf("revoke secret %s of bot %s: %w", id, b.ID, err)
	}
	return nil
}

// RemoveBot is final: the bot and all of its tokens are revoked when it returns.
func (d *Directory) RemoveBot(ctx context.Context, by store.Principal, botID string) error {
	if err := mayManage(by); err != nil {
		return err
	}
	return notFound(d.store.RemoveBot(ctx, by, botID), "bot", botID)
}
