package harness

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"xenoauth/internal/scope"
)

const userTokenPath = "/v2/auth/token"

// UserPair is a pair of user tokens as a client got it.
type UserPair struct {
	Token   string
	Refresh string
}

// PostJSON sends a JSON object of strings, given as name, value, …
func (r *Env) PostJSON(path string, members ...string) Answer {
	r.t.Helper()
	object := map[string]string{}
	for i := 0; i+1 < len(members); i += 2 {
		object[members[i]] = members[i+1]
	}
	body, err := json.Marshal(object)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.PostText(path, "application/json", string(body))
}

// PostText sends a body of any kind, with further headers given as name, value, …
func (r *Env) PostText(path, contentType, body string, headers ...string) Answer {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodPost, r.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	return r.Do(request)
}

// LogInProgram asks for user tokens by e-mail address and password.
func (r *Env) LogInProgram(email, password string) Answer {
	r.t.Helper()
	return r.PostJSON(userTokenPath, "email", email, "password", password)
}

// UserTokens is a pair of the user's.
func (r *Env) UserTokens(u User) UserPair {
	r.t.Helper()
	return r.LogInProgram(u.Email, Password).WantUserPair(r)
}

// WantUserPair asserts a 200 and returns its pair.
func (a Answer) WantUserPair(r *Env) UserPair {
	r.t.Helper()
	if a.Status != http.StatusOK {
		r.t.Fatalf("status = %d, want 200: %.300s", a.Status, a.Body)
	}
	a.wantAPIHeaders(r.t)
	p := UserPair{a.String(r.t, "token"), a.String(r.t, "refreshToken")}
	if p.Token == "" || p.Refresh == "" {
		r.t.Fatalf("token or refreshToken is missing: %.300s", a.Body)
	}
	return p
}

// RefreshByGet asks for the next pair with the access token as the Bearer token; "" sends none of the two.
func (r *Env) RefreshByGet(bearer, refresh string) Answer {
	r.t.Helper()
	address := r.URL + userTokenPath
	if refresh != "" {
		address += "?refreshToken=" + url.QueryEscape(refresh)
	}
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	return r.Do(request)
}

// RefreshByPost asks for the next pair as one does after the access token has expired.
func (r *Env) RefreshByPost(refresh, email string) Answer {
	r.t.Helper()
	return r.PostJSON(userTokenPath, "refreshToken", refresh, "clientId", email)
}

// SetRole changes the user's role in the account of the sign-up.
func (r *Env) SetRole(u User, role scope.Role) {
	r.t.Helper()
	if err := r.Store.SetMemberRole(context.Background(), Operator, u.Account.ID, u.ID, role); err != nil {
		r.t.Fatal(err)
	}
}
