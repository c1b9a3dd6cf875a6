// Package bench measures whole servers, where a test would take too long or vary too much. It runs only with -bench.
package bench

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
)

const (
	timingSamples = 5000 // of each side
	timingLimit   = 4.5  // of |t|; exceeded by chance once in 100,000 runs
)

// BenchmarkClientTiming is the timing part of row K7 of docs/battery.md: whether the time of a refusal by the token endpoint
// distinguishes a known app from an unknown one. For each pair it sends 5,000 requests over one connection, in random order, and
// compares them with Welch's t-test. It fails if |t| reaches 4.5. It also reports t over the fastest 90 %, because slower samples are
// noise of the machine that hides differences of a few microseconds.
//
//	go test ./bench -run '^$' -bench ClientTiming
func BenchmarkClientTiming(b *testing.B) {
	for name, open := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			e := harness.New(b, dbtest.Open(b, open(b)))
			suspended := e.AddApp("Suspended", true, harness.CB)
			if err := e.Store.SetAppSuspended(context.Background(), harness.Operator, suspended.ID, true); err != nil {
				b.Fatal(err)
			}
			wrong := secret.Format{}.New(secret.Client).Reveal()
			unknown := harness.App{ID: secret.NewPublicID("app_"), Secret: wrong}
			for pair, app := range map[string]harness.App{
				"wrong secret":   {ID: e.A.ID, Secret: wrong},
				"another secret": {ID: e.A.ID, Secret: e.B.Secret},
				"suspended":      suspended,
				"public":         {ID: e.P.ID, Secret: wrong},
				"unknown":        {ID: secret.NewPublicID("app_"), Secret: wrong}, // the same on both sides: the noise of the method
			} {
				b.Run(pair, func(b *testing.B) {
					for range b.N {
						first, second := refusals(b, e, app, unknown)
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

// refusals returns requests to the token endpoint that are refused, for two clients in turn.
func refusals(b *testing.B, e *harness.Env, first, second harness.App) (x, y []float64) {
	b.Helper()
	return interleave(b, e, "/oauth/token", http.StatusUnauthorized, first.As("grant_type", "client_credentials"), second.As("grant_type", "client_credentials"))
}

// interleave times two requests that are refused with the status, in nanoseconds.
func interleave(b *testing.B, e *harness.Env, path string, status int, first, second url.Values) (x, y []float64) {
	b.Helper()
	forms, swapped := []url.Values{first, second}, false
	samples := make([][]float64, 2)
	for i := range 2*timingSamples + 200 {
		side := i % 2
		if i%2 == 0 && rand.N(2) == 0 { // the order within each pair is random
			forms[0], forms[1] = forms[1], forms[0]
			samples[0], samples[1] = samples[1], samples[0]
			swapped = !swapped
		}
		start := time.Now()
		a := e.Post(path, forms[side])
		took := time.Since(start)
		if a.Status != status {
			b.Fatalf("status = %d, want %d: %s", a.Status, status, a.Body)
		}
		if i >= 200 { // the first ones warm up
			samples[side] = append(samples[side], float64(took))
		}
	}
	if swapped {
		samples[0], samples[1] = samples[1], samples[0]
	}
	return samples[0], samples[1]
}

// welch is the t statistic of two samples of unequal variance.
func welch(x, y []float64) float64 {
	mx, vx := moments(x)
	my, vy := moments(y)
	return (mx - my) / math.Sqrt(vx/float64(len(x))+vy/float64(len(y)))
}

func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, variance
}

// fastest drops the samples that are slower than 90 % of all samples.
func fastest(x, y []float64) ([]float64, []float64) {
	all := slices.Concat(x, y)
	slices.Sort(all)
	limit := all[len(all)*9/10]
	slower := func(v float64) bool { return v > limit }
	return slices.DeleteFunc(slices.Clone(x), slower), slices.DeleteFunc(slices.Clone(y), slower)
}

func median(x []float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	return sorted[len(sorted)/2]
}
