package bench

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/server"
)

// BenchmarkLogInTiming is the timing part of row L1 of docs/battery.md: whether the time of a refused log-in distinguishes a user's
// address from an unknown one, or from a disabled user's. The method is that of ClientTiming. Hashing is cheap here, so that it does
// not hide a difference.
//
//	go test ./bench -run '^$' -bench LogInTiming -benchtime 1x
func BenchmarkLogInTiming(b *testing.B) {
	for name, open := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			e := harness.New(b, dbtest.Open(b, open(b)))
			known, disabled := e.AddUser("known@users.test"), e.AddUser("disab@users.test")
			if err := e.Store.SetUserDisabled(b.Context(), harness.Operator, disabled.ID, true); err != nil {
				b.Fatal(err)
			}
			form := func(email, password string) url.Values { return url.Values{"email": {email}, "password": {password}} }
			wrong, unknown := "wrong horse battery", form("nobod@users.test", "wrong horse battery")
			for pair, known := range map[string]url.Values{
				"wrong password": form(known.Email, wrong),
				"disabled":       form(disabled.Email, harness.Password),
				"unknown":        form("other@users.test", wrong), // the same on both sides: the noise of the method
			} {
				b.Run(pair, func(b *testing.B) {
					for range b.N {
						first, second := interleave(b, e, "/login", http.StatusUnprocessableEntity, known, unknown)
						t, fast := welch(first, second), welch(fastest(first, second))
						b.Logf("%s or unknown: t = %.2f (%.2f over the fastest), medians %.1f and %.1f µs", pair, t, fast, median(first)/1e3, median(second)/1e3)
						b.ReportMetric(t, "t")
						b.ReportMetric(fast, "t(fastest)")
						if math.Abs(t) >= timingLimit {
							b.Errorf("the time tells the two apart: t = %.2f", t)
						}
					}
				})
			}
		})
	}
}

// BenchmarkVerifyDuringLogIns is the timing part of row L4 of docs/battery.md: the time to verify a token while 200 users log in at once,
// repeatedly, at the default cost of hashing; and, for comparison, without log-ins and beside as many verifications.
//
//	go test ./bench -run '^$' -bench VerifyDuringLogIns -benchtime 1x
func BenchmarkVerifyDuringLogIns(b *testing.B) {
	const verifications = 2000
	for name, open := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			e := harness.New(b, dbtest.Open(b, open(b)), func(o *server.Options) { o.Passwords = secret.NewPasswords(secret.PasswordOptions{}) })
			token := e.Grant(e.LoggedIn(e.U), e.A).WantToken(b)
			emails := e.AddUsers(200)
			verify := func() (times []float64) {
				for range verifications {
					start := time.Now()
					e.WantLive(token, true)
					times = append(times, float64(time.Since(start))/1e3)
				}
				slices.Sort(times)
				return times
			}
			for range b.N {
				quiet := verify()
				var stop atomic.Bool
				var done, shed atomic.Int64
				var people sync.WaitGroup
				for _, email := range emails {
					people.Go(func() {
						for !stop.Load() {
							switch a := e.Browser().Post("/login", url.Values{"email": {email}, "password": {harness.Password}}); a.Status {
							case http.StatusSeeOther:
								done.Add(1)
							case http.StatusServiceUnavailable:
								shed.Add(1)
							default:
								b.Errorf("log-in: %d", a.Status)
							}
						}
					})
				}
				start := time.Now()
				busy := verify()
				took := time.Since(start)
				stop.Store(true)
				people.Wait()
				for p, at := range map[string]float64{"p50": .5, "p99": .99} {
					b.ReportMetric(quantile(quiet, at), "µs/"+p+"-quiet")
					b.ReportMetric(quantile(busy, at), "µs/"+p+"-busy")
				}
				b.ReportMetric(quantile(busy, .99)/quantile(quiet, .99), "p99-ratio")
				b.ReportMetric(float64(done.Load())/took.Seconds(), "log-ins/s")
				b.ReportMetric(float64(shed.Load()), "shed")
			}
		})
	}
}

func quantile(sorted []float64, at float64) float64 { return sorted[int(at*float64(len(sorted)-1))] }

// BenchmarkIdleConnections opens 10,000 silent connections and sends requests beside them (row H2 of docs/battery.md).
func BenchmarkIdleConnections(b *testing.B) {
	e := harness.New(b, dbtest.Open(b, dbtest.SQLite(b)))
	for range b.N {
		for range 10_000 {
			e.Dial()
		}
		start := time.Now()
		for range 100 {
			if a := e.Browser().Get("/login"); a.Status != http.StatusOK {
				b.Fatal(fmt.Sprint(a.Status))
			}
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/100, "µs/page")
	}
}
