package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xenoauth/bearer"
)

// ask verifies in the background and returns the error.
func ask(ctx context.Context, v *bearer.Verifier, token string) <-chan error {
	answered := make(chan error, 1)
	go func() {
		_, err := v.Verify(ctx, token)
		answered <- err
	}()
	return answered
}

// TestQueue_RevokedInFlight: Xenoauth has found the token valid and its response is in flight when the token is revoked. A
// request that arrives after that must get ErrInvalid, and must not share the response in flight.
func TestQueue_RevokedInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, arrive := answers(active), make(chan struct{})
		x.hold = func(n int, _ *http.Request) {
			if n == 1 {
				<-arrive
			}
		}
		v, _ := verifier(t, x)
		before := ask(t.Context(), v, token)
		synctest.Wait()   // the first call has been decided and waits
		x.setAnswer(dead) // the revocation is acknowledged
		after := ask(t.Context(), v, token)
		synctest.Wait()
		if x.calls() != 1 {
			t.Fatalf("%d calls, want the second request to wait", x.calls())
		}
		close(arrive)
		if err := <-before; err != nil {
			t.Errorf("the request from before the revocation: %v", err)
		}
		if err := <-after; !errors.Is(err, bearer.ErrInvalid) {
			t.Errorf("the request from after the revocation: %v, want ErrInvalid", err)
		}
	})
}

// TestQueue_SharedCall: requests that arrive while a call is in flight share the next call.
func TestQueue_SharedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := answers(active)
		x.hold = func(int, *http.Request) { time.Sleep(time.Second) }
		v, _ := verifier(t, x)
		var all []<-chan error
		for range 3 {
			for range 100 {
				all = append(all, ask(t.Context(), v, token))
			}
			time.Sleep(time.Second + time.Millisecond) // into the middle of the next call
		}
		for _, answered := range all {
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
		}
		// The first request's own call; the other 99; the second hundred; the third.
		if x.calls() != 4 {
			t.Errorf("%d calls for 300 requests in 3 bursts, want 4", x.calls())
		}
		if err := <-ask(t.Context(), v, token); err != nil || x.calls() != 5 {
			t.Errorf("a request after the bursts: %v, %d calls", err, x.calls())
		}
	})
}

// TestQueue_DifferentTokens: calls for different tokens run in parallel.
func TestQueue_DifferentTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := answers(active)
		x.hold = func(int, *http.Request) { time.Sleep(time.Second) }
		v, _ := verifier(t, x)
		start := time.Now()
		var all []<-chan error
		for i := range 50 {
			all = append(all, ask(t.Context(), v, fmt.Sprint(token, i)))
		}
		for _, answered := range all {
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("50 tokens took %v, want 1s", took)
		}
	})
}

// TestQueue_Cancel: a shared call does not end when one of its requests is cancelled, and is not sent when all are.
func TestQueue_Cancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := answers(active)
		x.hold = func(int, *http.Request) { time.Sleep(time.Second) }
		v, reported := verifier(t, x)
		first := ask(t.Context(), v, token)
		synctest.Wait()
		impatient, leave := context.WithCancel(t.Context())
		leaves, stays := ask(impatient, v, token), ask(t.Context(), v, token)
		synctest.Wait()
		time.Sleep(1500 * time.Millisecond) // the shared call is in flight
		leave()
		if err := <-leaves; !errors.Is(err, bearer.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled request: %v", err)
		}
		if first, stayed := <-first, <-stays; first != nil || stayed != nil {
			t.Errorf("the other requests: %v, %v", first, stayed)
		}

		first = ask(t.Context(), v, token)
		synctest.Wait()
		impatient, leave = context.WithCancel(t.Context())
		leaves = ask(impatient, v, token)
		synctest.Wait()
		leave()
		<-leaves
		<-first
		time.Sleep(time.Minute)
		if x.calls() != 3 || len(reported.all()) > 0 {
			t.Errorf("%d calls, want 3, because no request waited for a fourth; trouble: %v", x.calls(), reported.all())
		}
	})
}

// TestQueue_Timeout: when Xenoauth does not respond, a request waits for at most the call in flight and its own.
func TestQueue_Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := answers(active)
		x.hold = func(_ int, r *http.Request) { <-r.Context().Done() }
		v, reported := verifier(t, x, func(c *bearer.Config) { c.Timeout = 3 * time.Second })
		start := time.Now()
		first := ask(t.Context(), v, token)
		synctest.Wait()
		var all []<-chan error
		for range 100 {
			all = append(all, ask(t.Context(), v, token))
		}
		for _, answered := range append(all, first) {
			if err := <-answered; !errors.Is(err, bearer.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 6*time.Second || len(reported.all()) != 2 {
			t.Errorf("took %v with %d reports, want 6s with 2", took, len(reported.all()))
		}
	})
}

// TestQueue_Panic: a panic of the API's own HTTP client does not end the process, and no request hangs.
func TestQueue_Panic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		v, _ := verifier(t, nil, func(c *bearer.Config) {
			c.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
				time.Sleep(time.Second)
				if calls.Add(1) == 2 {
					panic("a fault")
				}
				return nil, errors.New("no connection")
			})}
		})
		first := ask(t.Context(), v, token)
		synctest.Wait()
		second := ask(t.Context(), v, token)
		for _, answered := range []<-chan error{first, second, ask(t.Context(), v, token)} {
			if err := <-answered; !errors.Is(err, bearer.ErrUnavailable) {
				t.Errorf("err = %v", err)
			}
		}
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestQueue_RevocationRace: over real connections, 50 callers verify a token while it is revoked, and 50 more start once the
// revocation is acknowledged. None of the latter may pass; the former may pass or be refused.
func TestQueue_RevocationRace(t *testing.T) {
	x := answers(active)
	x.hold = func(int, *http.Request) { // a response takes some time
		for range 1000 {
			runtime.Gosched()
		}
	}
	server := httptest.NewServer(x)
	defer server.Close()
	v, _ := verifier(t, nil, func(c *bearer.Config) { c.Endpoint, c.HTTPClient = server.URL+"/oauth/introspect", nil })
	const rounds, callers = 20, 50
	var passed, refused atomic.Int32
	for round := range rounds {
		x.setAnswer(active)
		token := fmt.Sprint(token, round)
		before := x.calls()
		var rush sync.WaitGroup
		for range callers {
			rush.Go(func() {
				switch _, err := v.Verify(t.Context(), token); {
				case err == nil:
					passed.Add(1)
				case errors.Is(err, bearer.ErrInvalid):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		for x.calls() == before { // until a call has been decided
			runtime.Gosched()
		}
		x.setAnswer(dead)
		for range callers {
			rush.Go(func() {
				if _, err := v.Verify(t.Context(), token); !errors.Is(err, bearer.ErrInvalid) {
					t.Errorf("a revoked token: %v, want ErrInvalid", err)
				}
			})
		}
		rush.Wait()
	}
	t.Logf("%d passed, %d refused, %d calls for %d requests", passed.Load(), refused.Load(), x.calls(), rounds*callers*2)
	if passed.Load() == 0 {
		t.Error("no request passed before the revocation, so the test shows nothing")
	}
	if x.calls() > rounds*callers {
		t.Errorf("%d calls for %d requests: too few were shared", x.calls(), rounds*callers*2)
	}
}

// TestVerify_Copies: a caller that changes its identity does not change another caller's.
func TestVerify_Copies(t *testing.T) {
	v, _ := verifier(t, answers(active), func(c *bearer.Config) { c.CacheFor = time.Minute })
	for range 3 {
		got, err := v.Verify(t.Context(), token)
		if err != nil || got.Scopes[0] != "contacts" || got.Permissions[0] != "contact:list" {
			t.Fatalf("got %v, %v", got, err)
		}
		got.Scopes[0], got.Permissions[0] = "admin", "user:delete"
	}
}

// BenchmarkVerify measures a verification over a loopback connection, with and without the cache, one at a time and in
// parallel with the same token.
func BenchmarkVerify(b *testing.B) {
	server := httptest.NewServer(answers(active))
	defer server.Close()
	at := func(c *bearer.Config) { c.Endpoint, c.HTTPClient = server.URL+"/oauth/introspect", nil }
	asked, _ := verifier(b, nil, at)
	cached, _ := verifier(b, nil, at, keepFor(time.Hour))
	verify := func(b *testing.B, v *bearer.Verifier) {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Error(err)
		}
	}
	b.Run("asked", func(b *testing.B) {
		for b.Loop() {
			verify(b, asked)
		}
	})
	b.Run("kept", func(b *testing.B) {
		for b.Loop() {
			verify(b, cached)
		}
	})
	b.Run("shared", func(b *testing.B) {
		b.SetParallelism(50)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				verify(b, asked)
			}
		})
	})
}
