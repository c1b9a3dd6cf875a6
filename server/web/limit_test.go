package web

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"xenoauth/internal/ratelimit"
	"xenoauth/internal/secret"
)

// TestClassify_QueueForHashing: a full queue is caused by the client's network, and is 429; a wait that was too long is caused
// by everyone's load, and is 503. Both have Retry-After.
func TestClassify_QueueForHashing(t *testing.T) {
	t.Parallel()
	for err, status := range map[error]int{
		secret.ErrQueueFull: http.StatusTooManyRequests, errors.Join(secret.ErrQueueTimeout, context.DeadlineExceeded): http.StatusServiceUnavailable,
		&ratelimit.Error{Wait: time.Second, Reason: ratelimit.Queue}: http.StatusTooManyRequests, ratelimit.ErrTimeout: http.StatusServiceUnavailable,
	} {
		if e := classify(err); e.Status != status || e.Header.Get("Retry-After") == "" || e.Description == statusTexts[status].description {
			t.Errorf("%v: %d, Retry-After %q: %s", err, e.Status, e.Header.Get("Retry-After"), e.Description)
		}
	}
}

func TestLimited_Sentence(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		time.Microsecond: "Wait 1 second and", 1500 * time.Millisecond: "Wait 2 seconds and", 90 * time.Second: "Wait 90 seconds and",
		91 * time.Second: "Wait 2 minutes and", 15 * time.Minute: "Wait 15 minutes and",
	} {
		e := AsLimit(&ratelimit.Error{Wait: wait})
		if got := e.Sentence(); got != "Too many failed attempts. "+want+" try again." {
			t.Errorf("%s: %q, want %q", wait, got, want)
		}
	}
}
