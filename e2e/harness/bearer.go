package harness

import (
	"context"
	"net/http"
	"strings"

	"xenoauth/internal/scope"
)

// Bearer is a live token of one kind, with the identity that forward-auth returns for it.
type Bearer struct {
	Kind     string
	Token    string
	Subject  string // the user or bot; "" for none
	OfApp    bool
	Identity Identity
}

// Identity is the six headers of forward-auth by their last word: User, Account, App, Bot, Installation, Scope.
type Identity map[string]string

// IdentityOf reads the headers; those that are absent have no entry.
func IdentityOf(h http.Header) Identity {
	id := Identity{}
	for _, name := range strings.Fields("User Account App Bot Installation Scope") {
		if values := h.Values("X-Xenoauth-" + name); values != nil {
			id[name] = strings.Join(values, ", ")
		}
	}
	return id
}

// Filled is id with an empty entry for each missing one, for gateways that drop empty headers.
func (id Identity) Filled() Identity {
	full := Identity{"User": "", "Account": "", "App": "", "Bot": "", "Installation": "", "Scope": ""}
	for name, value := range id {
		full[name] = value
	}
	return full
}

// Bearers creates a token of each kind. Those of apps have the scopes contacts and conversations of U, who is an admin; the
// user token and the API key belong to an agent of the same account.
func (e *Env) Bearers() []Bearer {
	e.t.Helper()
	agent := e.AddAgent("agatha@users.test")
	bot := e.AddBot(e.U.Account.ID, "Order bot")
	account := e.AddKey(e.U.Account.ID, "")
	expiring := e.AddExpiring("Expiring")
	browser := e.LoggedIn(e.U)
	api := e.AddResource("Installations")
	const scopes = "contacts conversations"
	granted := func(kind string, app App) Bearer {
		token := e.Grant(browser, app, "scope", scopes).WantToken(e.t)
		installation := e.Introspect(api, token).String(e.t, "installation")
		return Bearer{kind, token, e.U.ID, true, Identity{"User": e.U.ID, "Account": e.U.Account.ID, "App": app.ID, "Installation": installation, "Scope": scopes}}
	}
	own := e.Token(e.A, "grant_type", "client_credentials", "scope", scopes).WantToken(e.t)
	bearers := []Bearer{
		granted("app", e.A),
		granted("expiring", expiring),
		{"client credentials", own, "", true, Identity{"App": e.A.ID, "Scope": scopes}},
		{"user token", e.UserTokens(agent).Token, agent.ID, false, Identity{"User": agent.ID, "Account": e.U.Account.ID, "Scope": "agent"}},
		{"API key", e.AddKey(e.U.Account.ID, agent.ID, "guest", "agent").Text, agent.ID, false, Identity{"User": agent.ID, "Account": e.U.Account.ID, "Scope": "agent guest"}},
		{"integration, account", e.Integrate(Keys(account)).WantIntegration(e.t), "", false, Identity{"Account": e.U.Account.ID, "Scope": "admin"}},
		{"integration, bot", e.Integrate(Keys(account, bot)).WantIntegration(e.t), bot.ID, false,
			Identity{"User": bot.ID, "Bot": bot.ID, "Account": e.U.Account.ID, "Scope": "bot"}},
	}
	for i := range bearers {
		bearers[i].Identity = bearers[i].Identity.Filled()
	}
	return bearers
}

// AddAgent adds a user who is an agent of U's account and whose own account comes second.
func (e *Env) AddAgent(email string) User {
	e.t.Helper()
	u := e.AddUser(email)
	ctx := context.Background()
	if err := e.Store.AddMember(ctx, Operator, e.U.Account.ID, u.ID, scope.RoleAgent); err != nil {
		e.t.Fatal(err)
	}
	e.Exec(`UPDATE members SET joined_at = 1 WHERE account_id = $1 AND user_id = $2`, e.U.Account.ID, u.ID)
	u.Account = e.U.Account
	return u
}

// Revoke revokes a token of any kind as the operator.
func (e *Env) Revoke(token string) {
	e.t.Helper()
	if err := e.Rules.RevokeToken(context.Background(), Operator, token); err != nil {
		e.t.Fatalf("revoke: %v", err)
	}
}

// Verify sends a forward-auth request with a token ("": none), a query, and further headers given as name, value, …
func (e *Env) Verify(token, query string, headers ...string) Answer {
	e.t.Helper()
	if token != "" {
		headers = append([]string{"Authorization", "Bearer " + token}, headers...)
	}
	return e.send(http.MethodGet, "/oauth/verify?"+query, nil, headers...)
}
