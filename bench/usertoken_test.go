package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
)

// BenchmarkUserTokens measures user tokens: a refresh (one signature, one durable statement), and a verification by /api/me and by
// forward-auth (one signature, one look-up by primary key). The requests go to the server's handler, eight at a time per core. For
// comparison, the same run measures the two P-256 operations alone, and an app's opaque token.
//
//	go test ./bench -run '^$' -bench UserTokens
func BenchmarkUserTokens(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	payload := []byte(strings.Repeat("x", 400)) // the length of the signed part of a user token
	digest := sha256.Sum256(payload)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	rate(b, "bare/sign", func() bool {
		digest := sha256.Sum256(payload)
		_, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		return err == nil
	})
	rate(b, "bare/verify", func() bool {
		digest := sha256.Sum256(payload)
		return ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature)
	})
	for name, open := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			e := harness.New(b, dbtest.Open(b, open(b)))
			handler := e.Server.Handler()
			ask := func(method, target, token, body string) *httptest.ResponseRecorder {
				request, answer := httptest.NewRequest(method, target, strings.NewReader(body)), httptest.NewRecorder()
				request.Header.Set("Content-Type", "application/json")
				if token != "" {
					request.Header.Set("Authorization", "Bearer "+token)
				}
				handler.ServeHTTP(answer, request)
				return answer
			}
			opaque, pair := e.Grant(e.LoggedIn(e.U), e.A).WantToken(b), e.UserTokens(e.U)
			rate(b, "opaque/me", func() bool { return ask(http.MethodGet, "/api/me", opaque, "").Code == http.StatusOK })
			rate(b, "user/me", func() bool { return ask(http.MethodGet, "/api/me", pair.Token, "").Code == http.StatusOK })
			rate(b, "user/forward-auth", func() bool {
				return ask(http.MethodGet, "/oauth/verify?permission=contact:list", pair.Token, "").Code == http.StatusOK
			})
			families := make(chan string, 100) // current refresh tokens
			for range cap(families) {
				families <- e.UserTokens(e.U).Refresh
			}
			rate(b, "user/refresh", func() bool {
				var next struct{ RefreshToken string }
				a := ask(http.MethodPost, "/v2/auth/token", "", `{"refreshToken":"`+<-families+`","clientId":"`+e.U.Email+`"}`)
				err := json.Unmarshal(a.Body.Bytes(), &next)
				families <- next.RefreshToken
				return err == nil && a.Code == http.StatusOK
			})
		})
	}
}

// rate calls a function as often as possible, eight at a time per core.
func rate(b *testing.B, name string, do func() bool) {
	b.Helper()
	b.Run(name, func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if !do() {
					b.Error("refused")
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "/s")
	})
}
