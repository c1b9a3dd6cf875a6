package ratelimit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"xenoauth/store"
)

var (
	ursula = store.User{ID: "ursula", Email: "ursula@users.test"}
	client = Client{Network: "192.0.2.1"}
)

// singleAttempt is a store.Limits that allows one attempt until its count is taken back.
type singleAttempt struct {
	store.Limits
	counted chan struct{} // holds the one that was
	refused chan struct{} // gets one for each refusal
}

func (s *singleAttempt) Waiting(context.Context, ...store.Limit) (time.Duration, error) {
	if len(s.counted) == 0 {
		return 0, nil
	}
	s.refused <- struct{}{}
	return time.Minute, nil
}

func (s *singleAttempt) Attempt(context.Context, ...store.Limit) (time.Duration, error) {
	s.counted <- struct{}{}
	return 0, nil
}

func (s *singleAttempt) Refund(context.Context, ...store.Limit) error {
	<-s.counted
	return nil
}

func (s *singleAttempt) Reset(ctx context.Context, limits ...store.Limit) error {
	return s.Refund(ctx, limits...)
}

// TestAttempt_WaitsForPending: an attempt that finds the limit filled by a pending one goes on when that succeeds, and is
// refused when that was answered without success. Without a pending attempt the refusal comes at once.
func TestAttempt_WaitsForPending(t *testing.T) {
	t.Parallel()
	rows := &singleAttempt{counted: make(chan struct{}, 1), refused: make(chan struct{}, 1)}
	limiter := New(rows, []byte("key"), Limits{})
	request := func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) }
	type result struct {
		attempt *Attempt
		err     error
	}
	later := func(ctx context.Context) chan result { // returns when it was refused once
		got := make(chan result, 1)
		go func() {
			attempt, err := limiter.Password(ctx, client, ursula)
			got <- result{attempt, err}
		}()
		<-rows.refused
		return got
	}
	one, answeredOne := request()
	first, err := limiter.Password(one, client, ursula)
	if err != nil {
		t.Fatal(err)
	}
	two, answeredTwo := request()
	second := later(two)
	if err := first.Succeed(one); err != nil {
		t.Fatal(err)
	}
	answeredOne()
	if r := <-second; r.err != nil {
		t.Fatalf("after a success: %v", r.err)
	}
	three, answeredThree := request()
	defer answeredThree()
	third := later(three)
	answeredTwo() // without Succeed: it has failed
	<-rows.refused
	var limited *Error
	if r := <-third; !errors.As(r.err, &limited) || limited.Wait != time.Minute {
		t.Errorf("after a failure: %v, want to wait a minute", r.err)
	}
	if r := <-later(three); !errors.As(r.err, &limited) {
		t.Errorf("without a pending attempt: %v", r.err)
	}
	if n := len(limiter.pending.of); n != 0 {
		t.Errorf("%d keys are kept after all requests were answered", n)
	}
}

// overtaken is a store.Limits in which other attempts fill the limit a few times, and succeed, before this one looks.
type overtaken struct {
	store.Limits
	times   int
	others  func()
	settled []error // nil: there was time to settle
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

func (o *overtaken) Refund(ctx context.Context, _ ...store.Limit) error {
	limited, done := store.SpendBudget(ctx, time.Hour)
	defer done()
	o.settled = append(o.settled, limited.Err())
	return nil
}

func (o *overtaken) Reset(ctx context.Context, limits ...store.Limit) error {
	return o.Refund(ctx, limits...)
}

// TestAttempt_Overtaken: an attempt that finds the limit filled by others that succeed is never refused, however often. It is
// settled even if the request has used up its database budget.
func TestAttempt_Overtaken(t *testing.T) {
	t.Parallel()
	rows := &overtaken{times: 3}
	limiter := New(rows, []byte("key"), Limits{})
	same := []store.Limit{limiter.row(passwordPair, ursula.ID, client.Network)}
	rows.others = func() {
		limiter.pending.begin(same)
		limiter.pending.release(same)
		limiter.pending.end(same)
	}
	ctx := store.WithBudget(t.Context(), 0)
	attempt, err := limiter.Password(ctx, client, ursula)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(attempt.Succeed(ctx), attempt.Release(ctx)); err != nil {
		t.Fatal(err)
	}
	if len(rows.settled) != 2 || errors.Join(rows.settled...) != nil {
		t.Errorf("settled with %v, want to have time twice", rows.settled)
	}
}

// busyRow is a store.Limits in which an attempt holds the row of an account until it is let go.
type busyRow struct {
	overtaken
	entered chan string // gets the key of each attempt that is counted
	letGo   chan struct{}
}

func (b *busyRow) Attempt(_ context.Context, limits ...store.Limit) (time.Duration, error) {
	b.entered <- limits[0].Key
	if strings.HasPrefix(limits[0].Key, "password:") {
		<-b.letGo
	}
	return 0, nil
}

// TestAttempt_QueuePerKey: attempts under one key go to the database one after the other, and one that gives up waiting is not
// counted; attempts under other keys do not wait for them.
func TestAttempt_QueuePerKey(t *testing.T) {
	t.Parallel()
	rows := &busyRow{entered: make(chan string, 100), letGo: make(chan struct{})}
	limiter := New(rows, []byte("key"), Limits{LogIn: 100})
	limiter.pending.budget, limiter.gate.budget = time.Hour, time.Hour // however slow the machine is
	got := make(chan error, 50)
	for range cap(got) {
		go func() {
			attempt, err := limiter.Password(t.Context(), client, ursula)
			if err == nil {
				err = attempt.Succeed(t.Context())
			}
			got <- err
		}()
	}
	first := <-rows.entered
	if _, err := limiter.SignUp(t.Context(), "198.51.100.1"); err != nil {
		t.Errorf("another key: %v", err)
	}
	if other := <-rows.entered; other == first {
		t.Error("two attempts were counted under one key at the same moment")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := limiter.Password(gone, client, ursula); !errors.Is(err, context.Canceled) {
		t.Errorf("one that gives up: %v", err)
	}
	for i := range cap(got) {
		if i > 0 {
			<-rows.entered
		}
		if len(rows.entered) > 0 {
			t.Fatal("two attempts were counted under one key at the same moment")
		}
		rows.letGo <- struct{}{}
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
	if n := len(rows.settled); n != cap(got) {
		t.Errorf("%d attempts were settled, want %d", n, cap(got))
	}
	if n := len(limiter.pending.of); n > 5 { // the context of their requests has not ended
		t.Errorf("%d keys are kept", n)
	}
}

// TestAttempt_Release: an attempt whose client closed the connection stays counted.
func TestAttempt_Release(t *testing.T) {
	t.Parallel()
	rows := &overtaken{}
	limiter := New(rows, []byte("key"), Limits{})
	ctx, hangUp := context.WithCancel(t.Context())
	attempt, err := limiter.SignUp(ctx, client.Network)
	if err != nil {
		t.Fatal(err)
	}
	hangUp()
	if err := attempt.Release(ctx); err != nil || len(rows.settled) != 0 {
		t.Errorf("released %d times: %v", len(rows.settled), err)
	}
}
