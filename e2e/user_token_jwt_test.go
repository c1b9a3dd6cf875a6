package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// jwtWorld is a server with a user token and the key that signed it.
type jwtWorld struct {
	*harness.Env
	pair harness.UserPair
	api  harness.App
	kid  string
	key  *ecdsa.PrivateKey
}

func newJWTWorld(t *testing.T, e *harness.Env) jwtWorld {
	t.Helper()
	w := jwtWorld{Env: e, pair: e.UserTokens(e.U), api: e.AddResource("API")}
	w.kid, w.key = e.SigningKey()
	return w
}

// wantDead asserts that a token is refused wherever one is taken: 401 and exactly inactive; and that nothing was consumed
// by asking with it.
func (w jwtWorld) wantDead(t *testing.T, token string) {
	t.Helper()
	e := w.With(t)
	me := e.Me(token)
	me.WantError(t, http.StatusUnauthorized, "invalid_token")
	if got := me.Header.Get("WWW-Authenticate"); got != `Bearer realm="xenoauth", error="invalid_token"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
	e.RefreshByGet(token, w.pair.Refresh).WantError(t, http.StatusUnauthorized, "invalid_token")
	e.WantActive(w.api, token, false)
}

// wantForged plants a token, so that the database knows it, and asserts that it is dead all the same.
func (w jwtWorld) wantForged(t *testing.T, token string) {
	t.Helper()
	if _, ok := secret.ParseUserToken(token); ok {
		w.With(t).SetTokenHash(token)
	}
	w.wantDead(t, token)
}

// TestUserTokenForgedSignature_J1: a user token with alg none in any spelling, with HS256 under the public key in every form that it is
// published in, with another algorithm's name (RS256, PS256, ES384, HS512), with r = s = 0, with an empty, cut, doubled
// or DER signature, with another key's: 401 and inactive, although the database has the hash of each; and so is a second
// valid signature over the same claims, because the database has the hash of the issued token.
func TestUserTokenForgedSignature_J1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		w := newJWTWorld(t, e)
		again := harness.Forge(t, w.pair.Token, nil, nil).ES256(t, w.key)
		w.wantDead(t, again)
		w.SetTokenHash(again)
		e.WantLive(again, true) // else what follows would prove nothing
		as := func(alg string) harness.JWT { return harness.Forge(t, w.pair.Token, map[string]any{"alg": alg}, nil) }
		for name, token := range confused(t, w, as) {
			t.Run(name, func(t *testing.T) { w.wantForged(t, token) })
		}
		w.SetTokenHash(w.pair.Token)
		e.WantLive(w.pair.Token, true)
	})
}

// confused are tokens whose signature or algorithm is not what it should be.
func confused(t *testing.T, w jwtWorld, as func(alg string) harness.JWT) map[string]string {
	t.Helper()
	real := as("ES256")
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	valid := real.ES256(t, w.key)
	signature, err := base64.RawURLEncoding.DecodeString(valid[strings.LastIndexByte(valid, '.')+1:])
	if err != nil {
		t.Fatal(err)
	}
	a, b := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	der, err := asn1.Marshal(struct{ R, S *big.Int }{a, b})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"r = s = 0": real.With(make([]byte, 64)), "r = s = n": real.With(append(w.key.Params().N.Bytes(), w.key.Params().N.Bytes()...)),
		"empty signature": real.With(nil), "cut signature": real.With(signature[:63]), "doubled signature": real.With(append(signature, signature...)),
		"DER signature": real.With(der), "somebody else's": real.ES256(t, stranger), "no signature part": real.Unsigned(),
		"HS256 under nothing": as("HS256").HS256(nil), "padded": valid + "==", "a fourth part": valid + ".", "JSON serialization": flattened(t, valid),
	}
	for _, alg := range []string{"none", "None", "nOnE", "NONE", "", "es256", "ES256 ", "RS256", "PS256", "ES384", "ES512", "EdDSA", "HS384", "HS512"} {
		all["alg "+alg] = as(alg).With(nil)
		all["alg "+alg+", signed"] = as(alg).ES256(t, w.key)
	}
	for form, key := range publicForms(t, w.key) {
		all["HS256 under the public key as "+form] = as("HS256").HS256(key)
		for _, kid := range []string{"hs256", ""} {
			all["the same, with kid "+kid+" as "+form] = harness.Forge(t, w.pair.Token, map[string]any{"alg": "HS256", "kid": kid}, nil).HS256(key)
		}
	}
	return all
}

// publicForms is the public key as somebody may have it at hand.
func publicForms(t *testing.T, key *ecdsa.PrivateKey) map[string][]byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return map[string][]byte{"DER": der, "PEM": text, "trimmed PEM": []byte(strings.TrimSpace(string(text))), "point": point}
}

// flattened is a token in the JSON serialization (RFC 7515 §7.2.2).
func flattened(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	text, err := json.Marshal(map[string]string{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestUserTokenForgedHeader_J2: a kid that is a path, SQL, unknown, a number, absent; a key of the token's own (jwk, jku, x5u, x5c), even
// beside a valid signature; crit, b64, nonce and other headers; two members of one name; 100,000 dots: 401, and neither the
// database nor an address in the token is asked for anything.
func TestUserTokenForgedHeader_J2(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		w := newJWTWorld(t, harness.New(t, st))
		var fetched atomic.Int64
		elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
		t.Cleanup(elsewhere.Close)
		front := w.Sibling()
		front.WantLive(w.pair.Token, true)
		for name, token := range misled(t, w, elsewhere.URL) {
			t.Run(name, func(t *testing.T) {
				if _, ok := secret.ParseUserToken(token); ok {
					w.With(t).SetTokenHash(token)
				}
				before := front.Faults.Calls("UserRefreshByID", "SigningKeys", "AccessByID")
				front.With(t).Me(token).WantError(t, http.StatusUnauthorized, "invalid_token")
				if n := front.Faults.Calls("UserRefreshByID", "SigningKeys", "AccessByID") - before; n != 0 {
					t.Errorf("the database was asked %d times", n)
				}
			})
		}
		if n := fetched.Load(); n != 0 {
			t.Errorf("an address in a token was asked %d times", n)
		}
	})
}

// misled are tokens that would lead a careless verifier to another key, or past one.
func misled(t *testing.T, w jwtWorld, elsewhere string) map[string]string {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := own.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	part := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	jwk := map[string]any{"kty": "EC", "crv": "P-256", "x": part(point[1:33]), "y": part(point[33:])}
	all := map[string]string{
		"dots": strings.Repeat(".", 50_000), "two dots": "..", "letters": "a.b.c", "long": w.pair.Token + strings.Repeat("A", 4096),
	}
	with := func(name string, header map[string]any) {
		forged := harness.Forge(t, w.pair.Token, header, nil)
		all[name] = forged.ES256(t, own)
		all[name+", rightly signed"] = forged.ES256(t, w.key)
	}
	for _, kid := range []any{"../../x", "' OR 1=1 --", "nobody", strings.Repeat("0", 22), strings.Repeat("z", 22), 1, nil, "", []string{w.kid}, "hs256", "\x00"} {
		with(fmt.Sprintf("kid %v", kid), map[string]any{"kid": kid})
	}
	for name, value := range map[string]any{
		"jwk": jwk, "jku": elsewhere + "/keys", "x5u": elsewhere + "/cert", "x5c": []string{"MIIB"}, "x5t": "AAAA", "crit": []string{"exp"},
		"b64": false, "nonce": "x", "cty": "JWT", "zip": "DEF", "foo": "bar", "typ": "at+jwt",
	} {
		with(name, map[string]any{name: value})
	}
	with("crit and b64", map[string]any{"crit": []string{"b64"}, "b64": false})
	with("no typ", map[string]any{"typ": nil})
	plain := harness.Forge(t, w.pair.Token, nil, nil)
	for name, member := range map[string]string{"_id": `"_id":"` + w.U.ID + `"`, "exp": `"exp":9999999999`, "jti": `"jti":"x"`} {
		twice := harness.JWT{Header: plain.Header, Claims: "{" + member + "," + plain.Claims[1:]}
		all[name+" twice"] = twice.ES256(t, w.key)
		twice.Claims = plain.Claims[:len(plain.Claims)-1] + "," + member + "}"
		all[name+" twice, at the end"] = twice.ES256(t, w.key)
	}
	all["alg twice"] = harness.JWT{Header: `{"alg":"none",` + plain.Header[1:], Claims: plain.Claims}.ES256(t, w.key)
	all["kid twice"] = harness.JWT{Header: `{"kid":"x",` + plain.Header[1:], Claims: plain.Claims}.ES256(t, w.key)
	return all
}

// TestUserTokenForgedClaims_J3: a user token with another iss, with any aud or nbf, without one of its claims, with exp as a string, a
// fraction or 1e400, for another user, rightly signed and known to the database: 401. One whose exp is past is 403
// "Permission Denied", at every endpoint that takes a Bearer token, and inactive. A user token where an opaque one belongs,
// and an opaque one, a jti or a refresh token where a user token belongs: 401, 404 or invalid_grant, whatever the place has.
func TestUserTokenForgedClaims_J3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		w := newJWTWorld(t, e)
		other := e.AddUser("other@users.test")
		for name, claims := range map[string]map[string]any{
			"another iss": {"iss": "https://evil.test"}, "iss with a slash": {"iss": e.URL + "/"}, "no iss": {"iss": nil},
			"aud": {"aud": "https://api.test"}, "our own aud": {"aud": e.URL}, "a list of aud": {"aud": []string{e.URL}},
			"nbf to come": {"nbf": 9999999999}, "nbf past": {"nbf": 1}, "no exp": {"exp": nil}, "exp 0": {"exp": 0}, "negative exp": {"exp": -1},
			"exp as text": {"exp": "9999999999"}, "exp as a fraction": {"exp": 9999999999.5}, "exp 1e400": {"exp": json.Number("1e400")},
			"exp 1e10": {"exp": json.Number("1e10")}, "exp over 64 bits": {"exp": json.Number("99999999999999999999")},
			"another user": {"_id": other.ID, "sub": other.ID}, "another _id": {"_id": other.ID}, "another sub": {"sub": other.ID}, "no _id": {"_id": nil},
			"a list for _id": {"_id": []string{e.U.ID}},
		} {
			t.Run(name, func(t *testing.T) { w.wantForged(t, harness.Forge(t, w.pair.Token, nil, claims).ES256(t, w.key)) })
		}
		for name, claims := range map[string]string{"no object": `[]`, "null": `null`, "empty": ``, "text": `x`, "not UTF-8": "{\"_id\":\"\xff\"}"} {
			t.Run(name, func(t *testing.T) {
				w.wantDead(t, harness.JWT{Header: harness.Forge(t, w.pair.Token, nil, nil).Header, Claims: claims}.ES256(t, w.key))
			})
		}
		// Unknown claims are accepted and ignored: the scope is the current role.
		plain := harness.Forge(t, w.pair.Token, nil, map[string]any{"scope": "owner", "foo": "bar"}).ES256(t, w.key)
		e.SetTokenHash(plain)
		if got := fmt.Sprint(e.Me(plain).JSON(t)["scopes"]); got != "[admin]" {
			t.Errorf("scopes = %s", got)
		}
		e.SetTokenHash(w.pair.Token)
		t.Run("expired", func(t *testing.T) { testExpiredJWT(t, w) })
		t.Run("in the wrong place", func(t *testing.T) { testMisplacedJWT(t, w) })
	})
}

func testExpiredJWT(t *testing.T, w jwtWorld) {
	e := w.With(t)
	expired := e.ExpiredUserTokens(e.U)
	e.Me(expired.Token).WantExpired(t)
	e.RefreshByGet(expired.Token, expired.Refresh).WantExpired(t)
	e.WantActive(w.api, expired.Token, false)
	e.WantActive(e.A, expired.Token, false)
	long := harness.Forge(t, w.pair.Token, nil, map[string]any{"exp": 1}).ES256(t, w.key)
	e.Me(long).WantExpired(t) // without its row, too
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e.Me(harness.Forge(t, w.pair.Token, nil, map[string]any{"exp": 1}).ES256(t, stranger)).WantError(t, http.StatusUnauthorized, "invalid_token")
	// Nothing was consumed, and the way on is open.
	e.RefreshByPost(expired.Refresh, e.U.Email).WantUserPair(e)
}

func testMisplacedJWT(t *testing.T, w jwtWorld) {
	e := w.With(t)
	app := e.Grant(e.LoggedIn(e.U), e.A).String(t, "access_token")
	var claims struct {
		ID string `json:"jti"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(w.pair.Token, ".")[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		t.Fatal("no claims")
	}
	sum := sha256.Sum256([]byte(w.pair.Token))
	for _, token := range []string{claims.ID, w.pair.Refresh, string(payload), app + ".", "." + app + ".", fmt.Sprintf("%x", sum), "xnoj_" + app[5:]} {
		w.wantDead(t, strings.ReplaceAll(token, " ", ""))
	}
	e.Token(e.A, "code", w.pair.Token).WantGrantRefused(t)
	e.Token(e.P, "grant_type", "refresh_token", "refresh_token", w.pair.Refresh).WantGrantRefused(t)
	e.Token(e.P, "grant_type", "refresh_token", "refresh_token", w.pair.Token).WantGrantRefused(t)
	e.Token(harness.App{ID: e.A.ID, Secret: w.pair.Token}, "code", "x").WantRefused(t, http.StatusUnauthorized, "invalid_client")
	if a := e.PostJSON("/authorization/integration", "AccountAPIKey", w.pair.Token); a.Status != http.StatusNotFound {
		t.Errorf("a user token as an account API key: %d", a.Status)
	}
	e.WantLive(w.pair.Token, true)
}
