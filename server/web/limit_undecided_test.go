package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xenoauth/store"
)

var ursula = store.User{ID: "ursula", Email: "ursula@users.test"}

// oneTry is a store.Limits that lets one try through until it is taken back.
type oneTry struct {
	store.Limits
	counted chan struct{} // holds the one that was
	refused chan struct{} // gets one for each refusal
}

func (o *oneTry) Waiting(context.Context, ...store.Limit) (time.Duration, error) {
	if len(o.counted) == 0 {
		return 0, nil
	}
	o.refused <- struct{}{}
	return time.Minute, nil
}

func (o *oneTry) Attempt(context.Context, ...store.Limit) (time.Duration, error) {
	o.counted <- struct{}{}
	return 0, nil
}

func (o *oneTry) TakeBack(context.Context, ...store.Limit) error {
	<-o.counted
	return nil
}

func (o *oneTry) Forgive(ctx context.Context, limits ...store.Limit) error {
	return o.TakeBack(ctx, limits...)
}

// TestTriesWaitForOneAnother: whoever finds the bound filled by a try that is looked at goes on when that was right, and is
// refused when it was answered and was not. With nothing to wait for the refusal comes at once.
func TestTriesWaitForOneAnother(t *testing.T) {
	t.Parallel()
	rows := &oneTry{counted: make(chan struct{}, 1), refused: make(chan struct{}, 1)}
	toolkit := &Toolkit{log: slog.New(slog.DiscardHandler), limits: newLimits(rows, []byte("key"), FailureLimits{})}
	request := func() (*http.Request, context.CancelFunc) {
		ctx, answered := context.WithCancel(t.Context())
		return httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil), answered
	}
	type result struct {
		try *Try
		err error
	}
	later := func(r *http.Request) chan result { // returns when it was refused once
		got := make(chan result, 1)
		go func() {
			try, err := toolkit.TryPassword(r, ursula)
			got <- result{try, err}
		}()
		<-rows.refused
		return got
	}
	one, answeredOne := request()
	first, err := toolkit.TryPassword(one, ursula)
	if err != nil {
		t.Fatal(err)
	}
	two, answeredTwo := request()
	second := later(two)
	first.Proven(one)
	answeredOne()
	if r := <-second; r.err != nil {
		t.Fatalf("after a right one: %v", r.err)
	}
	three, _ := request()
	third := later(three)
	answeredTwo() // nothing was said of it: it has failed
	<-rows.refused
	var limited *LimitError
	if r := <-third; !errors.As(r.err, &limited) || limited.Wait != time.Minute {
		t.Errorf("after a wrong one: %v, want to wait a minute", r.err)
	}
	if r := <-later(three); !errors.As(r.err, &limited) {
		t.Errorf("with nothing to wait for: %v", r.err)
	}
	if n := len(toolkit.limits.undecided.of); n != 0 {
		t.Errorf("%d keys are remembered after all was answered", n)
	}
}

// overtaken is a store.Limits in which others fill the bound a few times, and are right, before this one is looked at.
type overtaken struct {
	store.Limits
	times   int
	others  func()
	settled []error // whether there was time to take a try back
}

func (o *overtaken) Waiting(context.Context, ...store.Limit) (time.Duration, error) {
	if o.times == 0 {
		return 0, nil
	}
	o.times--
	o.others()
	return time.Minute, nil
}

func (o *overtaken) Attempt(context.Context, ...store.Limit) (time.Duration, error) { return 0, nil }

func (o *overtaken) TakeBack(ctx context.Context, _ ...store.Limit) error {
	limited, done := store.Spend(ctx, time.Hour)
	defer done()
	o.settled = append(o.settled, limited.Err())
	return nil
}

func (o *overtaken) Forgive(ctx context.Context, limits ...store.Limit) error {
	return o.TakeBack(ctx, limits...)
}

// TestTryIsOvertaken: whoever finds the bound filled by others that were right is never refused, however often; and is
// taken back also when the request has used up its patience with the database.
func TestTryIsOvertaken(t *testing.T) {
	t.Parallel()
	rows := &overtaken{times: 3}
	toolkit := &Toolkit{log: slog.New(slog.DiscardHandler), limits: newLimits(rows, []byte("key"), FailureLimits{})}
	same := []store.Limit{toolkit.limits.pair("password", ursula.ID, network(httptest.NewRequest(http.MethodPost, "/", nil)))}
	rows.others = func() {
		toolkit.limits.undecided.begin(same)
		toolkit.limits.undecided.tookBack(same)
		toolkit.limits.undecided.end(same)
	}
	r := httptest.NewRequestWithContext(store.WithPatience(t.Context(), 0), http.MethodPost, "/", nil)
	try, err := toolkit.TryPassword(r, ursula)
	if err != nil {
		t.Fatal(err)
	}
	try.Proven(r)
	try.Undecided(r)
	if len(rows.settled) != 2 || errors.Join(rows.settled...) != nil {
		t.Errorf("taking back: %v, want to have time twice", rows.settled)
	}
}

// busyRow is a store.Limits whose row of an account is held by a try until that is let go.
type busyRow struct {
	overtaken
	entered chan string // gets the key of each try that is counted
	letGo   chan struct{}
}

func (b *busyRow) Attempt(_ context.Context, limits ...store.Limit) (time.Duration, error) {
	b.entered <- limits[0].Key
	if strings.HasPrefix(limits[0].Key, "password:") {
		<-b.letGo
	}
	return 0, nil
}

// TestTriesTakeTurns: tries under one key go to the database one after the other, and one that gives up waiting was not
// counted; tries under other keys pass them by.
func TestTriesTakeTurns(t *testing.T) {
	t.Parallel()
	rows := &busyRow{entered: make(chan string, 100), letGo: make(chan struct{})}
	toolkit := &Toolkit{log: slog.New(slog.DiscardHandler), limits: newLimits(rows, []byte("key"), FailureLimits{LogIn: 100})}
	toolkit.limits.undecided.patience, toolkit.limits.gate.patience = time.Hour, time.Hour // however slow the machine is
	got := make(chan error, 50)
	for range cap(got) {
		go func() {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
			try, err := toolkit.TryPassword(r, ursula)
			if err == nil {
				try.Proven(r)
			}
			got <- err
		}()
	}
	first := <-rows.entered
	elsewhere := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	elsewhere.RemoteAddr = "198.51.100.1:1"
	if _, err := toolkit.TrySignUp(elsewhere); err != nil {
		t.Errorf("another key: %v", err)
	}
	if other := <-rows.entered; other == first {
		t.Error("two tries were counted under one key at the same moment")
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := toolkit.TryPassword(httptest.NewRequestWithContext(impatient, http.MethodPost, "/", nil), ursula)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up: %v", err)
	}
	for i := range cap(got) {
		if i > 0 {
			<-rows.entered
		}
		if len(rows.entered) > 0 {
			t.Fatal("two tries were counted under one key at the same moment")
		}
		rows.letGo <- struct{}{}
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
	if n := len(rows.settled); n != cap(got) {
		t.Errorf("%d tries were taken back, want %d", n, cap(got))
	}
	if n := len(toolkit.limits.undecided.of); n > 5 { // their requests are not over
		t.Errorf("%d keys are remembered", n)
	}
}
