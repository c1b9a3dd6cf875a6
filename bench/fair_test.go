package bench

import (
	"fmt"
	"net/http"
	"net/netip"
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

// BenchmarkLogInUnderLoad is the timing part of row U1 of docs/battery.md. It measures log-ins from other addresses while one address
// keeps 100 sign-ups or 200 correct log-ins in flight, and alone, at the default cost of hashing. The p95 under load must be at
// most twice the p95 alone.
//
//	go test ./bench -run '^$' -bench LogInUnderLoad -benchtime 1x
func BenchmarkLogInUnderLoad(b *testing.B) {
	for name, open := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		e := harness.New(b, dbtest.Open(b, open(b)), func(o *server.Options) {
			o.Passwords = secret.NewPasswords(secret.PasswordOptions{})
			o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			o.Limits.IP = 100
		})
		emails := e.AddUsers(200)
		var newcomers atomic.Int64
		for flood, ask := range map[string]struct {
			n   int
			ask func(b *harness.Browser, i int) harness.Answer
		}{
			"100 sign-ups": {100, func(b *harness.Browser, _ int) harness.Answer {
				email := fmt.Sprintf("new%d@users.test", newcomers.Add(1))
				return from(b, "/signup", url.Values{"email": {email}, "password": {harness.Password}}, "192.0.2.1")
			}},
			"200 log-ins": {200, func(b *harness.Browser, i int) harness.Answer {
				return from(b, "/login", url.Values{"email": {emails[i]}, "password": {harness.Password}}, "192.0.2.1")
			}},
		} {
			b.Run(name+"/"+flood, func(b *testing.B) {
				for range b.N {
					alone := othersLogIn(b, e, emails)
					beside, served := underLoad(b, e, ask.n, ask.ask, func() []float64 { return othersLogIn(b, e, emails) })
					alone = append(alone, othersLogIn(b, e, emails)...)
					slices.Sort(alone)
					ratio := quantile(beside, .95) / quantile(alone, .95)
					b.ReportMetric(quantile(alone, .95), "ms/p95-alone")
					b.ReportMetric(quantile(beside, .95), "ms/p95-beside")
					b.ReportMetric(ratio, "ratio")
					b.ReportMetric(served, "flood/s")
					if ratio > 2 {
						b.Errorf("others' p95 is %.1f times as long as alone", ratio)
					}
				}
			})
		}
	}
}

// from posts a form from a client address.
func from(b *harness.Browser, path string, form url.Values, ip string) harness.Answer {
	return b.Send(http.MethodPost, path, form, "X-Forwarded-For", ip)
}

// othersLogIn returns the durations of sequential log-ins, each from another address, in milliseconds.
func othersLogIn(b *testing.B, e *harness.Env, emails []string) (times []float64) {
	b.Helper()
	for i := range 60 {
		start := time.Now()
		a := from(e.Browser(), "/login", url.Values{"email": {emails[i]}, "password": {harness.Password}}, fmt.Sprintf("198.51.100.%d", i))
		times = append(times, float64(time.Since(start))/1e6)
		if a.Status != http.StatusSeeOther {
			b.Fatalf("log-in from another address: %d", a.Status)
		}
	}
	slices.Sort(times)
	return times
}

// underLoad runs measure while n requests are in flight, and returns how many of those were served per second.
func underLoad(b *testing.B, e *harness.Env, n int, ask func(*harness.Browser, int) harness.Answer, measure func() []float64) (times []float64, served float64) {
	b.Helper()
	var stop atomic.Bool
	var done atomic.Int64
	var flood sync.WaitGroup
	for i := range n {
		flood.Go(func() {
			for !stop.Load() {
				switch a := ask(e.Browser(), i); a.Status {
				case http.StatusSeeOther:
					done.Add(1)
				case http.StatusTooManyRequests, http.StatusServiceUnavailable:
				default:
					b.Errorf("flood: %d", a.Status)
				}
			}
		})
	}
	for done.Load() == 0 { // until requests are queued
		time.Sleep(time.Millisecond)
	}
	start, before := time.Now(), done.Load()
	times = measure()
	served = float64(done.Load()-before) / time.Since(start).Seconds()
	stop.Store(true)
	flood.Wait()
	return times, served
}
