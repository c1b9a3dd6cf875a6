package harness

import (
	"context"
	"net/http"
	"strings"

	"xenoauth/internal/scope"
)

// Bearer is a live token of one kind, and what forward-auth says of it.
type Bearer struct {
	Kind     string
	Token    string
	Subject  string // the user or bot; "" for none
	OfApp    bool
	Identity Identity
}

// Identity is the six headers of forward-auth by their last words: User, Account, App, Bot, Installation, Scope.
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

// Filled is id with an empty entry for each that is missing, as APIs see it whose gateway leaves empty headers out.
func (id Identity) Filled() Identity {
	full := Identity{"User": "", "Account": "", "App": "", "Bot": "", "Installation": "", "Scope": ""}
	for name, value := range id {
		full[name] = value
	}
	return full
}

// Bearers makes a token of each kind that there is. The apps' have the scopes contacts and conversations of U, who is an
// admin; the user token and the API key are those of an agent of the same account.
func (r *Env) Bearers() []Bearer {
	r.t.Helper()
	agent := r.AddAgent("agatha@users.test")
	bot := r.AddBot(r.U.Account.ID, "Order bot")
	account := r.AddKey(r.U.Account.ID, "")
	expiring := r.AddExpiring("Expiring")
	browser := r.LoggedIn(r.U)
	api := r.AddResource("Installations")
	const scopes = "contacts conversations"
	granted := func(kind string, app App) Bearer {
		token := r.Grant(browser, app, "scope", scopes).WantToken(r.t)
		installation := r.Introspect(api, token).String(r.t, "installation")
		return Bearer{kind, token, r.U.ID, true, Identity{"User": r.U.ID, "Account": r.U.Account.ID, "App": app.ID, "Installation": installation, "Scope": scopes}}
	}
	own := r.Token(r.A, "grant_type", "client_credentials", "scope", scopes).WantToken(r.t)
	bearers := []Bearer{
		granted("app", r.A),
		granted("expiring", expiring),
		{"client credentials", own, "", true, Identity{"App": r.A.ID, "Scope": scopes}},
		{"user token", r.UserTokens(agent).Token, agent.ID, false, Identity{"User": agent.ID, "Account": r.U.Account.ID, "Scope": "agent"}},
		{"API key", r.AddKey(r.U.Account.ID, agent.ID, "guest", "agent").Text, agent.ID, false, Identity{"User": agent.ID, "Account": r.U.Account.ID, "Scope": "agent guest"}},
		{"integration, account", r.Integrate(Keys(account)).WantIntegration(r.t), "", false, Identity{"Account": r.U.Account.ID, "Scope": "admin"}},
		{"integration, bot", r.Integrate(Keys(account, bot)).WantIntegration(r.t), bot.ID, false,
			Identity{"User": bot.ID, "Bot": bot.ID, "Account": r.U.Account.ID, "Scope": "bot"}},
	}
	for i := range bearers {
		bearers[i].Identity = bearers[i].Identity.Filled()
	}
	return bearers
}

// AddAgent makes a person who is an agent of U's account, and whose own account comes second.
func (r *Env) AddAgent(email string) User {
	r.t.Helper()
	u := r.AddUser(email)
	ctx := context.Background()
	if err := r.Store.AddMember(ctx, Operator, r.U.Account.ID, u.ID, scope.RoleAgent); err != nil {
		r.t.Fatal(err)
	}
	r.Exec(`UPDATE members SET joined_at = 1 WHERE account_id = $1 AND user_id = $2`, r.U.Account.ID, u.ID)
	u.Account = r.U.Account
	return u
}

// Revoke is the operator's kill switch for a token of any kind.
func (r *Env) Revoke(token string) {
	r.t.Helper()
	if err := r.Rules.RevokeToken(context.Background(), Operator, token); err != nil {
		r.t.Fatalf("revoke: %v", err)
	}
}

// Verify asks forward-auth with a token ("": none), a query, and further headers given as name, value, …
func (r *Env) Verify(token, query string, headers ...string) Answer {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.URL+"/oauth/verify?"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	return r.Do(request)
}
