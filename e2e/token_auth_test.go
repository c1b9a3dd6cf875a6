package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// protected are the endpoints that authenticate clients, with a request that is sound but for the client.
var protected = map[string]string{
	"/oauth/token":      "grant_type=client_credentials",
	"/oauth/revoke":     "token=unknown",
	"/oauth/introspect": "token=unknown",
}

// eachProtected posts form parameters, added to the endpoint's own, with headers given as name, value, …
func eachProtected(t *testing.T, e *harness.Env, form url.Values, headers []string, check func(t *testing.T, a harness.Answer)) {
	t.Helper()
	for path, own := range protected {
		all, err := url.ParseQuery(own)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(all, form)
		t.Run(path, func(t *testing.T) { check(t, e.With(t).Post(path, all, headers...)) })
	}
}

func wantOK(t *testing.T, a harness.Answer) {
	t.Helper()
	if a.Status != http.StatusOK {
		t.Errorf("status = %d, want 200: %s", a.Status, a.Body)
	}
	if _, granted := a.JSON(t)["access_token"]; granted {
		a.WantToken(t)
	}
}

func wantInvalidClient(t *testing.T, a harness.Answer) {
	t.Helper()
	a.WantRefused(t, http.StatusUnauthorized, "invalid_client")
}

func wantInvalidRequest(t *testing.T, a harness.Answer) {
	t.Helper()
	a.WantRefused(t, http.StatusBadRequest, "invalid_request")
}

// TestClientInQuery_K3: The client's id and secret, or one of them, stand in the query of a POST: they are not read, so 401
// invalid_client at the token, revocation and introspection endpoints, whatever else is in the body. A code in the query
// is not read either: 400 invalid_request, and it is not consumed.
func TestClientInQuery_K3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		query := url.Values{"client_id": {e.A.ID}, "client_secret": {e.A.Secret}}.Encode()
		secretOnly := url.Values{"client_secret": {e.A.Secret}}.Encode()
		for path, body := range protected {
			t.Run(path, func(t *testing.T) {
				e := e.With(t)
				own, err := url.ParseQuery(body)
				if err != nil {
					t.Fatal(err)
				}
				wantInvalidClient(t, e.Post(path+"?"+query, own))
				wantInvalidClient(t, e.Post(path+"?"+query+"&"+body, url.Values{}))
				own.Set("client_id", e.A.ID)
				wantInvalidClient(t, e.Post(path+"?"+secretOnly, own))
			})
		}
		b := e.LoggedIn(e.U)
		code := b.Code(e.A)
		parameters := url.Values{"code": {code}, "redirect_uri": {harness.CB}}
		wantInvalidRequest(t, e.Post("/oauth/token?"+parameters.Encode(), e.A.As()))
		wantInvalidClient(t, e.Post("/oauth/token?"+query, parameters))
		e.WantUnspent(code, 0)
		e.WantLive(e.Exchange(e.A, code).WantToken(t), true)
	})
}

const bearerAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// TestClientTwoMethods_K4: Two methods of client authentication in one request: Basic and a secret in the body (even the same
// one), Basic for one app and a client_id of another, an assertion beside a secret or beside Basic, a secret twice. 400
// invalid_request at every endpoint that authenticates, although each by itself might be right; nothing is granted, and
// a code sent along stays unspent.
func TestClientTwoMethods_K4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		basic := []string{"Authorization", harness.Basic(e.A.ID, e.A.Secret)}
		assertion := url.Values{"client_assertion": {"e30.e30.e30"}, "client_assertion_type": {bearerAssertion}}
		withAssertion := func(v url.Values) url.Values {
			maps.Copy(v, assertion)
			return v
		}
		for name, c := range map[string]struct {
			form    url.Values
			headers []string
		}{
			"Basic and its secret in the body":  {e.A.As(), basic},
			"Basic and a secret alone":          {url.Values{"client_secret": {e.A.Secret}}, basic},
			"Basic and another app's secret":    {e.B.As(), basic},
			"Basic and another app's client_id": {url.Values{"client_id": {e.B.ID}}, basic},
			"Basic and a public app's id":       {url.Values{"client_id": {e.P.ID}}, basic},
			"assertion and secret":              {withAssertion(e.A.As()), nil},
			"assertion and Basic":               {assertion, basic},
			"all three":                         {withAssertion(e.A.As()), basic},
			"secret twice":                      {url.Values{"client_id": {e.A.ID}, "client_secret": {e.A.Secret, e.A.Secret}}, nil},
			"client_id twice":                   {url.Values{"client_id": {e.A.ID, e.B.ID}, "client_secret": {e.A.Secret}}, nil},
		} {
			t.Run(name, func(t *testing.T) { eachProtected(t, e, c.form, c.headers, wantInvalidRequest) })
		}
		if n := e.Count(`SELECT COUNT(*) FROM expiring_tokens`); n != 0 {
			t.Errorf("%d tokens were granted", n)
		}
		b := e.LoggedIn(e.U)
		code := b.Code(e.A)
		wantInvalidRequest(t, e.Post("/oauth/token", e.A.As("code", code, "redirect_uri", harness.CB), basic...))
		e.WantUnspent(code, 0)
	})
}

// TestClientMethods_K5: The secret in the body; Basic alone; Basic with the same client_id in the body, as some libraries send
// it; Basic in lower case: 200 at every endpoint that authenticates.
func TestClientMethods_K5(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		basic := harness.Basic(e.A.ID, e.A.Secret)
		for name, c := range map[string]struct {
			form    url.Values
			headers []string
		}{
			"in the body":         {e.A.As(), nil},
			"Basic":               {nil, []string{"Authorization", basic}},
			"Basic and client_id": {url.Values{"client_id": {e.A.ID}}, []string{"Authorization", basic}},
			"basic":               {nil, []string{"Authorization", "b" + basic[1:]}},
		} {
			t.Run(name, func(t *testing.T) { eachProtected(t, e, c.form, c.headers, wantOK) })
		}
	})
}

// TestClientMissing_K6: A confidential app sends no credentials: its client_id alone, an empty secret, Basic with an empty
// secret, or nothing at all. 401 invalid_client with WWW-Authenticate: Basic realm="xenoauth" at every endpoint that
// authenticates; a code sent along stays unspent. The description names the missing part of the request, and where nothing was
// sent, that the address is not read.
func TestClientMissing_K6(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for name, c := range map[string]struct {
			form    url.Values
			headers []string
		}{
			"client_id alone":    {url.Values{"client_id": {e.A.ID}}, nil},
			"empty secret":       {url.Values{"client_id": {e.A.ID}, "client_secret": {""}}, nil},
			"Basic, no secret":   {nil, []string{"Authorization", harness.Basic(e.A.ID, "")}},
			"nothing":            {nil, nil},
			"secret without id":  {url.Values{"client_secret": {e.A.Secret}}, nil},
			"empty id":           {url.Values{"client_id": {""}, "client_secret": {e.A.Secret}}, nil},
			"Basic without id":   {nil, []string{"Authorization", harness.Basic("", e.A.Secret)}},
			"Basic of two empty": {nil, []string{"Authorization", harness.Basic("", "")}},
		} {
			t.Run(name, func(t *testing.T) { eachProtected(t, e, c.form, c.headers, wantInvalidClient) })
		}
		described := func(headers []string, form url.Values, want string) {
			t.Helper()
			eachProtected(t, e, form, headers, func(t *testing.T, a harness.Answer) {
				wantInvalidClient(t, a)
				if got := a.String(t, "error_description"); !strings.Contains(got, want) {
					t.Errorf("error_description = %q, want %q in it", got, want)
				}
			})
		}
		described(nil, nil, "client_id is missing; URL parameters are ignored")
		described(nil, url.Values{"client_secret": {e.A.Secret}}, "client_id is missing; URL parameters are ignored")
		described([]string{"Authorization", "Bearer x"}, nil, "a Bearer token does not authenticate a client")
		described([]string{"Authorization", harness.Basic("", e.A.Secret)}, nil, "client_id is missing from the Authorization header")
		described([]string{"Authorization", "Basic x"}, nil, "base64 of client_id:client_secret")
		described([]string{"Authorization", "Digest x"}, nil, "must use the Basic scheme")
		described(nil, url.Values{"client_id": {e.A.ID}, "client_assertion": {"x"}}, "client_assertion is not supported")
		// Stored data makes no difference: an app that needs a secret is as unknown without one as an app that is not there.
		for _, id := range []string{e.A.ID, "app_" + strings.Repeat("0", 22), "nope"} {
			described(nil, url.Values{"client_id": {id}}, "client_secret is missing, and no active public app has this client_id")
		}
		code := e.LoggedIn(e.U).Code(e.A)
		wantInvalidClient(t, e.Post("/oauth/token", url.Values{"client_id": {e.A.ID}, "code": {code}, "redirect_uri": {harness.CB}}))
		e.WantUnspent(code, 0)
	})
}

// TestClientWrong_K7: A wrong secret (garbage, well-formed, another app's, revoked, expired), an unknown or malformed client
// id, a suspended app with its right secret, a deleted one, a public app with a secret: the same 401, to the byte, in
// header and body, by Basic and in the body, at every endpoint. Whether the time tells them apart is measured outside the
// fast suite, over 2 × 5,000 interleaved requests (go test ./bench -run none -bench ClientTiming).
func TestClientWrong_K7(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		fresh := secret.Format{}.New(secret.Client).Reveal()
		id := e.Parse(e.A.Secret).ID.String()
		forged := forge(t, e, e.A.Secret)
		suspended, deleted := e.AddApp("Suspended", true, harness.CB), e.AddApp("Deleted", true, harness.CB)
		revoked, expired := e.AddApp("Revoked", true, harness.CB), e.AddApp("Expired", true, harness.CB)
		ctx := context.Background()
		for what, err := range map[string]error{
			"suspend": e.Store.SetAppSuspended(ctx, harness.Operator, suspended.ID, true),
			"delete":  e.Rules.DeleteApp(ctx, harness.Operator, deleted.ID),
			"revoke":  e.Rules.RevokeSecret(ctx, harness.Operator, revoked.ID, e.Parse(revoked.Secret).ID),
		} {
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		e.Exec(`UPDATE client_secrets SET expires_at = created_at WHERE client_id = $1`, expired.ID)
		clients := map[string]harness.App{
			"wrong secret, garbage":     {ID: e.A.ID, Secret: "wrong"},
			"wrong secret, well-formed": {ID: e.A.ID, Secret: fresh},
			"right lookup id alone":     {ID: e.A.ID, Secret: forged},
			"another app's secret":      {ID: e.A.ID, Secret: e.B.Secret},
			"lookup id as secret":       {ID: e.A.ID, Secret: id},
			"unknown id":                {ID: secret.NewPublicID("app_"), Secret: fresh},
			"unknown resource server":   {ID: secret.NewPublicID("rs_"), Secret: fresh},
			"malformed id":              {ID: "nope", Secret: e.A.Secret},
			"id in another case":        {ID: strings.ToUpper(e.A.ID), Secret: e.A.Secret},
			"suspended app":             suspended,
			"deleted app":               deleted,
			"revoked secret":            revoked,
			"expired secret":            expired,
			"public app with a secret":  {ID: e.P.ID, Secret: e.A.Secret},
		}
		for path, body := range protected {
			t.Run(path, func(t *testing.T) {
				e, seen := e.With(t), map[string][]string{}
				for name, app := range clients {
					own, err := url.ParseQuery(body)
					if err != nil {
						t.Fatal(err)
					}
					basic := e.Post(path, own, "Authorization", harness.Basic(app.ID, app.Secret))
					maps.Copy(own, app.As())
					for method, a := range map[string]harness.Answer{"Basic": basic, "body": e.Post(path, own)} {
						wantInvalidClient(t, a)
						print := fingerprint(a)
						seen[print] = append(seen[print], method+": "+name)
					}
				}
				if len(seen) != 1 {
					t.Errorf("%d different answers: %q", len(seen), seen)
				}
			})
		}
	})
}

// forge keeps the lookup id of a credential and gives it another secret part, with a right checksum.
func forge(t *testing.T, e *harness.Env, text string) string {
	t.Helper()
	body := text[:27] + strings.Repeat("A", 43)
	forged := body + checksum(body)
	if e.Parse(forged).ID != e.Parse(text).ID {
		t.Fatal("the forged secret has another lookup id")
	}
	return forged
}

// fingerprint is all of an answer that may not differ.
func fingerprint(a harness.Answer) string {
	var b strings.Builder
	fmt.Fprintln(&b, a.Status)
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		if name != "Date" && name != "X-Request-Id" {
			fmt.Fprintln(&b, name, a.Header.Values(name))
		}
	}
	return b.String() + a.Body
}

// TestClientPublicApp_K8: A public app presents any secret, a real one of another app's among them, or an assertion: 401. A
// confidential app sends its client_id alone: 401. An app whose stored secret is empty is opened by nothing, not even an
// empty secret: 401. A public app asks for client_credentials: 400 unauthorized_client. Nothing is granted, and a public
// app without a secret, or with an empty one, as libraries send it, still redeems its code.
func TestClientPublicApp_K8(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for _, s := range []string{"guess", e.A.Secret, secret.Format{}.New(secret.Client).Reveal()} {
			eachProtected(t, e, url.Values{"client_id": {e.P.ID}, "client_secret": {s}}, nil, wantInvalidClient)
			eachProtected(t, e, nil, []string{"Authorization", harness.Basic(e.P.ID, s)}, wantInvalidClient)
		}
		assertion := url.Values{"client_id": {e.P.ID}, "client_assertion": {"e30.e30.e30"}, "client_assertion_type": {bearerAssertion}}
		eachProtected(t, e, assertion, nil, wantInvalidClient)
		eachProtected(t, e, url.Values{"client_id": {e.A.ID}}, nil, wantInvalidClient)

		empty := e.AddApp("Empty", true, harness.CB)
		for _, hash := range [][]byte{{}, make([]byte, 32)} {
			e.Exec(`UPDATE client_secrets SET hash = $1 WHERE client_id = $2`, hash, empty.ID)
			for _, s := range []string{"", "x", empty.Secret, "xnos_"} {
				eachProtected(t, e, url.Values{"client_id": {empty.ID}, "client_secret": {s}}, nil, wantInvalidClient)
				eachProtected(t, e, nil, []string{"Authorization", harness.Basic(empty.ID, s)}, wantInvalidClient)
			}
		}

		byP := url.Values{"grant_type": {"client_credentials"}, "client_id": {e.P.ID}}
		e.Post("/oauth/token", byP).WantRefused(t, http.StatusBadRequest, "unauthorized_client")
		byP.Del("client_id")
		e.Post("/oauth/token", byP, "Authorization", harness.Basic(e.P.ID, "")).WantRefused(t, http.StatusBadRequest, "unauthorized_client")
		if n := e.Count(`SELECT COUNT(*) FROM expiring_tokens`); n != 0 {
			t.Errorf("%d tokens were granted", n)
		}

		b := e.LoggedIn(e.U)
		form := url.Values{"code": {b.Code(e.P)}, "redirect_uri": {harness.CB}, "code_verifier": {harness.Verifier}}
		e.WantLive(e.Post("/oauth/token", form, "Authorization", harness.Basic(e.P.ID, "")).WantToken(t), true)
		e.WantLive(e.Exchange(e.P, b.Code(e.P), "client_secret", "").WantToken(t), true)
	})
}

// TestClientSecretRotation_K10: A secret is rotated with an overlap: the old and the new one both work on every server; when the time
// of the overlap has passed, the old one is 401 everywhere, and the new one works on. A rotation without overlap ends the
// old one on every server within a second (their clocks may differ a little), a revocation with the next request. Two
// servers on one Postgres; one on SQLite with a command beside it that rotates.
func TestClientSecretRotation_K10(t *testing.T) {
	t.Parallel()
	t.Run("sqlite, a command beside", func(t *testing.T) {
		t.Parallel()
		url := dbtest.SQLite(t)
		e := harness.New(t, dbtest.Open(t, url))
		rotateSecrets(t, e.Replica(url), e)
	})
	t.Run("postgres, two replicas", func(t *testing.T) {
		t.Parallel()
		first, second := harness.Pair(t)
		rotateSecrets(t, first, second)
	})
}

// rotateSecrets changes secrets on one server and asks all of them.
func rotateSecrets(t *testing.T, on, other *harness.Env) {
	app := on.A
	want := func(s secret.Credential, works bool) {
		t.Helper()
		for _, e := range []*harness.Env{on, other} {
			eachProtected(t, e, harness.App{ID: app.ID, Secret: s.Reveal()}.As(), nil, map[bool]func(*testing.T, harness.Answer){true: wantOK, false: wantInvalidClient}[works])
		}
	}
	rotate := func(until time.Time) secret.Credential {
		t.Helper()
		c, err := on.Rules.RotateSecret(context.Background(), harness.Operator, app.ID, until)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := on.Parse(app.Secret)
	want(first, true)

	second := rotate(on.Store.Now().Add(time.Hour))
	want(first, true)
	want(second, true)
	shift := (time.Hour + time.Second).Microseconds()
	on.Exec(`UPDATE client_secrets SET expires_at = expires_at - $1 WHERE id = $2`, shift, first.ID[:])
	want(first, false)
	want(second, true)

	third := rotate(on.Store.Now())
	ended := time.Now()
	old := harness.App{ID: app.ID, Secret: second.Reveal()}
	for sent := ended; other.Token(old, "grant_type", "client_credentials").Status == http.StatusOK; sent = time.Now() {
		if sent.Sub(ended) > time.Second {
			t.Fatal("the old secret works on the other server a second after it ended")
		}
	}
	want(second, false)
	want(third, true)

	fourth := rotate(time.Time{})
	want(third, true)
	want(fourth, true)
	if err := on.Rules.RevokeSecret(context.Background(), harness.Operator, app.ID, third.ID); err != nil {
		t.Fatal(err)
	}
	want(third, false)
	want(fourth, true)
	on.WantEvents(app, store.EventSecretCreated, 3)
	on.WantEvents(app, store.EventSecretRevoked, 1)
}
