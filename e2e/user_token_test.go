package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
)

// The shapes that existing clients check (docs/dialects.md, User tokens).
var (
	userIDShape  = regexp.MustCompile(`^[0-9a-f]{24}$`)
	refreshShape = regexp.MustCompile(`^[0-9a-f]{24}\.[0-9a-f]{80}$`)
	jwtShape     = regexp.MustCompile(`^[\w-]+\.[\w-]+\.[\w-]+$`)
)

// part is the header (0) or the claims (1) of a JWT, unverified.
func part(t *testing.T, jwt string, n int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[n])
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// wantUserAnswer asserts an answer with a pair, member by member.
func wantUserAnswer(t *testing.T, e *harness.Env, a harness.Answer, userID, role string) harness.UserPair {
	t.Helper()
	p := a.WantUserPair(e)
	object := a.JSON(t)
	if len(object) != 5 || object["tokenType"] != "Bearer" || object["user"] != userID || object["scope"] != role {
		t.Errorf("answer = %s", a.Body)
	}
	if !userIDShape.MatchString(userID) || !refreshShape.MatchString(p.Refresh) || !jwtShape.MatchString(p.Token) {
		t.Errorf("shapes: user %q, refresh token of %d characters, token %.20s…", userID, len(p.Refresh), p.Token)
	}
	if !strings.HasPrefix(p.Refresh, userID+".") {
		t.Errorf("the refresh token begins with %.25s, want the user id %s", p.Refresh, userID)
	}
	header, claims := part(t, p.Token, 0), part(t, p.Token, 1)
	if len(header) != 3 || header["alg"] != "ES256" || header["typ"] != "JWT" || header["kid"] == "" {
		t.Errorf("header = %v", header)
	}
	if len(claims) != 7 || claims["_id"] != userID || claims["scope"] != role || claims["sub"] != userID || claims["iss"] != e.URL || claims["jti"] == "" {
		t.Errorf("claims = %v", claims)
	}
	issued, expires := claims["iat"].(float64), claims["exp"].(float64)
	if expires-issued != 24*3600 || time.Since(time.Unix(int64(issued), 0)).Abs() > time.Minute {
		t.Errorf("iat %f and exp %f: want now and 24 hours later", issued, expires)
	}
	return p
}

// TestSeedUserTokens replays docs/dialects.md, User tokens, line by line, but for the permissions.
func TestSeedUserTokens(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		t.Run("create", func(t *testing.T) {
			e := e.With(t)
			body := `{"email": "` + e.U.Email + `", "password": "` + harness.Password + `"}`
			p := wantUserAnswer(t, e, e.PostText("/v2/auth/token", "application/json", body), e.U.ID, "admin")
			e.WantLive(p.Token, true)
			wantUserAnswer(t, e, e.PostText("/v2/auth/token", "application/json; charset=utf-8", body), e.U.ID, "admin")
			// Other members are ignored, whatever they are, and so is an Authorization header.
			more := `{"remember": true, "scope": ["x"], ` + body[1:]
			for _, header := range []string{"Bearer x", "Bearer " + p.Token, "Basic eDp5", "\""} {
				wantUserAnswer(t, e, e.PostText("/v2/auth/token", "application/json", more, "Authorization", header), e.U.ID, "admin")
			}
		})
		t.Run("refresh before expiry", func(t *testing.T) {
			e := e.With(t)
			first := e.UserTokens(e.U)
			second := wantUserAnswer(t, e, e.RefreshByGet(first.Token, first.Refresh), e.U.ID, "admin")
			if second == first || second.Token == first.Token || second.Refresh == first.Refresh {
				t.Error("a token was given twice")
			}
			third := wantUserAnswer(t, e, e.RefreshByGet(second.Token, second.Refresh), e.U.ID, "admin")
			for _, p := range []harness.UserPair{first, second, third} { // an access token works until it expires
				e.WantLive(p.Token, true)
			}
		})
		t.Run("refresh after expiry", func(t *testing.T) {
			e := e.With(t)
			first := e.UserTokens(e.U)
			second := wantUserAnswer(t, e, e.RefreshByPost(first.Refresh, e.U.Email), e.U.ID, "admin")
			wantUserAnswer(t, e, e.RefreshByPost(second.Refresh, strings.ToUpper(e.U.Email)), e.U.ID, "admin")
			expired := e.UserTokens(e.U)
			body := fmt.Sprintf(`{"refreshToken": %q, "clientId": %q}`, expired.Refresh, e.U.Email)
			wantUserAnswer(t, e, e.PostText("/v2/auth/token", "application/json", body, "Authorization", "Bearer nonsense"), e.U.ID, "admin")
		})
		t.Run("the scope is the role, of the account joined first", func(t *testing.T) { testUserScope(t, e.With(t)) })
		t.Run("refused", func(t *testing.T) { testUserTokenRefused(t, e.With(t)) })
		t.Run("nothing is logged", func(t *testing.T) { testUserTokenLog(t, e.With(t)) })
	})
}

func testUserScope(t *testing.T, e *harness.Env) {
	u, other := e.AddUser("roland@users.test"), e.AddUser("otto@users.test")
	if err := e.Store.AddMember(t.Context(), harness.Operator, other.Account.ID, u.ID, scope.RoleAgent); err != nil {
		t.Fatal(err)
	}
	p := e.UserTokens(u)
	for _, role := range scope.Roles() {
		e.SetRole(u, role)
		if me := e.Me(p.Token).JSON(t); fmt.Sprint(me["scopes"]) != "["+string(role)+"]" {
			t.Errorf("with the role %s, /api/me says scopes %v", role, me["scopes"])
		}
		p = wantUserAnswer(t, e, e.RefreshByGet(p.Token, p.Refresh), u.ID, string(role))
		wantUserAnswer(t, e, e.LogInProgram(u.Email, harness.Password), u.ID, string(role))
	}
	// Who leaves the account loses its tokens, and the next ones are for the account joined second.
	if err := e.Store.RemoveMember(t.Context(), harness.Operator, u.Account.ID, u.ID); err != nil {
		t.Fatal(err)
	}
	e.WantLive(p.Token, false)
	e.RefreshByPost(p.Refresh, u.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
	wantUserAnswer(t, e, e.LogInProgram(u.Email, harness.Password), u.ID, "agent")
	if err := e.Store.RemoveMember(t.Context(), harness.Operator, other.Account.ID, u.ID); err != nil {
		t.Fatal(err)
	}
	e.LogInProgram(u.Email, harness.Password).WantError(t, http.StatusUnauthorized, "invalid_grant")
}

func testUserTokenRefused(t *testing.T, e *harness.Env) {
	u, other := e.AddUser("refusal@users.test"), e.AddUser("stranger@users.test")
	p, theirs := e.UserTokens(u), e.UserTokens(other)
	post := func(body string) harness.Answer { return e.PostText("/v2/auth/token", "application/json", body) }
	email, password := `"email": "`+u.Email+`"`, `"password": "`+harness.Password+`"`
	refresh, client := `"refreshToken": "`+p.Refresh+`"`, `"clientId": "`+u.Email+`"`
	for name, body := range map[string]string{
		"nothing": "", "no object": `[]`, "null": `null`, "empty": `{}`, "cut off": `{` + email, "two objects": `{}{}`,
		"no password": `{` + email + `}`, "no email": `{` + password + `}`, "empty password": `{` + email + `,"password":""}`,
		"no clientId": `{` + refresh + `}`, "no refreshToken": `{` + client + `}`, "both": `{` + email + `,` + password + `,` + refresh + `,` + client + `}`,
		"email twice": `{` + email + `,` + email + `,` + password + `}`, "a number": `{` + email + `,"password":12345678}`,
		"a list": `{"email":["` + u.Email + `"],` + password + `}`, "null password": `{` + email + `,"password":null}`,
		"NUL": `{"email":"a\u0000@b.test",` + password + `}`, "half a surrogate": `{"email":"\ud800@b.test",` + password + `}`,
		"not UTF-8": "{\"email\":\"\xff@b.test\"," + password + `}`, "other spelling": `{"Email":"` + u.Email + `",` + password + `}`,
		"deep": strings.Repeat(`{"a":`, 12000), "long password": `{` + email + `,"password":"` + strings.Repeat("x", 1025) + `"}`,
	} {
		t.Run("400 "+name, func(t *testing.T) { post(body).WantError(t, http.StatusBadRequest, "invalid_request") })
	}
	for name, body := range map[string]string{
		"wrong password": `{` + email + `,"password":"wrong password"}`, "short password": `{` + email + `,"password":"x"}`,
		"unknown email": `{"email":"nobody@users.test",` + password + `}`, "no email address": `{"email":"nobody",` + password + `}`,
		"unknown refresh token": `{"refreshToken":"` + u.ID + "." + strings.Repeat("ab", 40) + `",` + client + `}`,
		"malformed":             `{"refreshToken":"x",` + client + `}`, "upper case": `{"refreshToken":"` + strings.ToUpper(p.Refresh) + `",` + client + `}`,
		"another user's id":    `{"refreshToken":"` + other.ID + p.Refresh[24:] + `",` + client + `}`,
		"another client id":    `{` + refresh + `,"clientId":"` + other.Email + `"}`,
		"nobody's client id":   `{` + refresh + `,"clientId":"x"}`,
		"an access token":      `{"refreshToken":"` + p.Token + `",` + client + `}`,
		"the wrong secret":     `{"refreshToken":"` + p.Refresh[:len(p.Refresh)-1] + other1(p.Refresh) + `",` + client + `}`,
		"another user's token": `{"refreshToken":"` + theirs.Refresh + `",` + client + `}`,
	} {
		t.Run("401 "+name, func(t *testing.T) {
			a := post(body)
			a.WantError(t, http.StatusUnauthorized, "invalid_grant")
			if got := a.Header.Get("WWW-Authenticate"); got != `Bearer realm="xenoauth"` {
				t.Errorf("WWW-Authenticate = %q", got)
			}
		})
	}
	for _, contentType := range []string{"", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "application/json; charset=utf-16", "text/json"} {
		t.Run("415 "+contentType, func(t *testing.T) {
			e.PostText("/v2/auth/token", contentType, `{`+email+`,`+password+`}`).WantError(t, http.StatusUnsupportedMediaType, "invalid_request")
		})
	}
	t.Run("413", func(t *testing.T) {
		post(`{`+email+`,"password":"`+strings.Repeat("x", 64<<10)+`"}`).WantError(t, http.StatusRequestEntityTooLarge, "invalid_request")
	})
	testUserTokenMethods(t, e, p)
	testUserTokenGetRefused(t, e, u, p, theirs)
	// None of all that consumed anything.
	wantUserAnswer(t, e, e.RefreshByGet(p.Token, p.Refresh), u.ID, "admin")
}

// testUserTokenMethods: HEAD would rotate a token and show nobody the new one.
func testUserTokenMethods(t *testing.T, e *harness.Env, p harness.UserPair) {
	for _, method := range []string{"HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		t.Run("405 "+method, func(t *testing.T) {
			request, err := http.NewRequest(method, e.URL+"/v2/auth/token?refreshToken="+p.Refresh, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+p.Token)
			if a := e.Do(request); a.Status != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "GET, POST" {
				t.Errorf("%s: %d, Allow %q", method, a.Status, a.Header.Get("Allow"))
			}
		})
	}
}

// other1 is another last character than the token's.
func other1(token string) string {
	if strings.HasSuffix(token, "0") {
		return "1"
	}
	return "0"
}

func testUserTokenGetRefused(t *testing.T, e *harness.Env, u harness.User, p, theirs harness.UserPair) {
	app := e.Grant(e.LoggedIn(u), e.A).String(t, "access_token")
	for name, c := range map[string]struct {
		bearer, refresh string
		status          int
		code            string
	}{
		"no refresh token":      {p.Token, "", 400, "invalid_request"},
		"no Bearer":             {"", p.Refresh, 401, "invalid_token"},
		"malformed Bearer":      {"x", p.Refresh, 401, "invalid_token"},
		"another user's Bearer": {theirs.Token, p.Refresh, 403, "invalid_token"},
		"an app's Bearer":       {app, p.Refresh, 403, "invalid_token"},
		"unknown refresh token": {p.Token, u.ID + "." + strings.Repeat("ab", 40), 401, "invalid_grant"},
		"malformed":             {p.Token, "x", 401, "invalid_grant"},
	} {
		t.Run(fmt.Sprint("GET ", c.status, " ", name), func(t *testing.T) {
			e.RefreshByGet(c.bearer, c.refresh).WantError(t, c.status, c.code)
		})
	}
	request, err := http.NewRequest(http.MethodGet, e.URL+"/v2/auth/token?refreshToken="+p.Refresh+"&refreshToken="+p.Refresh, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+p.Token)
	e.Do(request).WantError(t, http.StatusBadRequest, "invalid_request")
}

// testUserTokenLog: the form with the refresh token in the query leaves no trace of it in a log that tells everything,
// and neither does any other secret.
func testUserTokenLog(t *testing.T, e *harness.Env) {
	u := e.AddUser("logged@users.test")
	first := e.UserTokens(u)
	second := e.RefreshByGet(first.Token, first.Refresh).WantUserPair(e)
	third := e.RefreshByPost(second.Refresh, u.Email).WantUserPair(e)
	e.RefreshByGet("x", third.Refresh)
	e.RefreshByGet(third.Token, third.Refresh+"?"+third.Refresh)
	var canaries harness.SecretScanner
	canaries.Add("password", harness.Password)
	for i, p := range []harness.UserPair{first, second, third} {
		name := fmt.Sprint("of pair ", i+1)
		canaries.Add("access token "+name, p.Token)
		canaries.Add("signature "+name, p.Token[strings.LastIndexByte(p.Token, '.')+1:])
		canaries.Add("refresh token "+name, p.Refresh)
		canaries.Add("secret part of the refresh token "+name, p.Refresh[len(p.Refresh)-48:])
	}
	for what, text := range map[string]string{"the log": e.Log.String(), "the database": e.Dump()} {
		if found := canaries.Find(text); len(found) > 0 {
			t.Errorf("%s has %v", what, found)
		}
	}
	if !strings.Contains(e.Log.String(), `route="GET /v2/auth/token"`) {
		t.Error("the log does not tell of the requests at all")
	}
}

// TestUserTokenIntrospection: a resource server sees whose a user token is and all that it may do; an app sees nothing,
// and no app has anything to do with it.
func TestUserTokenIntrospection(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		p, api := e.UserTokens(e.U), e.AddResource("API")
		for role, want := range rolePermissions(t) {
			e.SetRole(e.U, role)
			seen := e.Introspect(api, p.Token).JSON(t)
			if _, there := seen["client_id"]; there {
				t.Errorf("introspection names a client: %v", seen["client_id"])
			}
			if seen["active"] != true || seen["scope"] != string(role) || seen["sub"] != e.U.ID || seen["username"] != e.U.Email ||
				seen["account"] != e.U.Account.ID || seen["token_type"] != "Bearer" || seen["iss"] != e.URL {
				t.Errorf("introspection = %v", seen)
			}
			if seen["exp"].(float64)-seen["iat"].(float64) != 24*3600 {
				t.Errorf("iat %v, exp %v", seen["iat"], seen["exp"])
			}
			if got := listed(seen["permissions"]); !slices.Equal(got, want) {
				t.Errorf("%s: permissions = %v, want %v", role, got, want)
			}
		}
		e.WantActive(e.A, p.Token, false)
		e.WantActive(api, p.Refresh, false)
		e.WantActive(e.A, p.Refresh, false)
		if a := e.Post("/oauth/revoke", e.A.As("token", p.Token)); a.Status != http.StatusOK {
			t.Errorf("an app that revokes a user token gets %d", a.Status)
		}
		me := e.Me(p.Token).JSON(t)
		if me["client_id"] != nil || me["app"] != nil || me["bot"] != nil || me["installation"] != nil || me["sub"] != e.U.ID ||
			me["expires_at"] != part(t, p.Token, 1)["exp"] {
			t.Errorf("/api/me = %v", me)
		}
	})
}

func listed(v any) []string {
	var list []string
	all, _ := v.([]any)
	for _, e := range all {
		list = append(list, e.(string))
	}
	slices.Sort(list)
	return list
}
