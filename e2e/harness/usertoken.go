package harness

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"xenoauth/internal/scope"
)

const userTokenPath = "/v2/auth/token"

// UserPair is a pair of user tokens.
type UserPair struct {
	Token   string
	Refresh string
}

// PostJSON posts a JSON object of strings, given as name, value, …
func (e *Env) PostJSON(path string, members ...string) Answer {
	e.t.Helper()
	object := map[string]string{}
	for i := 0; i+1 < len(members); i += 2 {
		object[members[i]] = members[i+1]
	}
	body, err := json.Marshal(object)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.PostText(path, "application/json", string(body))
}

// PostText posts a body of any content type, with further headers given as name, value, …
func (e *Env) PostText(path, contentType, body string, headers ...string) Answer {
	e.t.Helper()
	return e.sendText(path, contentType, body, headers...)
}

// LogInProgram requests user tokens with e-mail address and password.
func (e *Env) LogInProgram(email, password string) Answer {
	e.t.Helper()
	return e.PostJSON(userTokenPath, "email", email, "password", password)
}

// UserTokens is a new pair of the user's.
func (e *Env) UserTokens(u User) UserPair {
	e.t.Helper()
	return e.LogInProgram(u.Email, Password).WantUserPair(e)
}

// WantUserPair asserts a 200 and returns its pair.
func (a Answer) WantUserPair(e *Env) UserPair {
	e.t.Helper()
	if a.Status != http.StatusOK {
		e.t.Fatalf("status = %d, want 200: %.300s", a.Status, a.Body)
	}
	a.wantAPIHeaders(e.t)
	p := UserPair{a.String(e.t, "token"), a.String(e.t, "refreshToken")}
	if p.Token == "" || p.Refresh == "" {
		e.t.Fatalf("token or refreshToken is missing: %.300s", a.Body)
	}
	return p
}

// RefreshByGet refreshes with the access token as Bearer token; "" omits either.
func (e *Env) RefreshByGet(bearer, refresh string) Answer {
	e.t.Helper()
	path := userTokenPath
	if refresh != "" {
		path += "?refreshToken=" + url.QueryEscape(refresh)
	}
	var headers []string
	if bearer != "" {
		headers = []string{"Authorization", "Bearer " + bearer}
	}
	return e.send(http.MethodGet, path, nil, headers...)
}

// RefreshByPost refreshes as a client does after the access token has expired.
func (e *Env) RefreshByPost(refresh, email string) Answer {
	e.t.Helper()
	return e.PostJSON(userTokenPath, "refreshToken", refresh, "clientId", email)
}

// SetRole changes the user's role in the account of the sign-up.
func (e *Env) SetRole(u User, role scope.Role) {
	e.t.Helper()
	if err := e.Store.SetMemberRole(context.Background(), Operator, u.Account.ID, u.ID, role); err != nil {
		e.t.Fatal(err)
	}
}
