package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xenoauth/store"
)

// script is a job whose runs return the given results, one after the other, and then the last of them. It notes when each
// run began.
type script struct {
	results []result
	began   []time.Time
}

type result struct {
	more bool
	err  error
}

func (s *script) run(context.Context) (more bool, err error) {
	s.began = append(s.began, time.Now())
	r := s.results[min(len(s.began), len(s.results))-1]
	return r.more, r.err
}

// wantGaps checks the time between runs, which take no time of their own.
func (s *script) wantGaps(t *testing.T, start time.Time, gaps ...[2]time.Duration) {
	t.Helper()
	if len(s.began) < len(gaps) {
		t.Fatalf("%d runs, want at least %d", len(s.began), len(gaps))
	}
	last := start
	for i, want := range gaps {
		if got := s.began[i].Sub(last); got < want[0] || got > want[1] {
			t.Errorf("run %d began %s after the one before, want %s to %s", i, got, want[0], want[1])
		}
		last = s.began[i]
	}
}

func ignore(string, time.Duration, error) {}

var quiet = slog.New(slog.DiscardHandler)

// TestRunner_Interval: the first run comes within the interval, the next ones after an interval give or take a third, and
// after Pause while a run leaves work.
func TestRunner_Interval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{results: []result{{}, {}, {more: true}, {more: true}, {}}}
		start := time.Now()
		r := Start(quiet, ignore, Job{Name: "test", Interval: time.Minute, Pause: time.Second, Timeout: time.Second, Run: s.run})
		time.Sleep(5 * time.Minute)
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		interval := [2]time.Duration{40 * time.Second, 80 * time.Second}
		pause := [2]time.Duration{time.Second, time.Second}
		s.wantGaps(t, start, [2]time.Duration{0, time.Minute + 1}, interval, interval, pause, pause)
		runs := len(s.began)
		time.Sleep(time.Hour)
		if len(s.began) != runs {
			t.Error("runs after Stop")
		}
	})
}

// TestRunner_Backoff: failures in a row are logged once and run less and less often, up to MaxBackoff; a success ends that.
func TestRunner_Backoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := result{err: fmt.Errorf("sweep: %w", store.ErrUnavailable)}
		s := &script{results: []result{failed, failed, failed, failed, {}, {}, {err: errors.New("syntax")}, failed, {}}}
		var log bytes.Buffer
		outcomes := ""
		observe := func(_ string, _ time.Duration, err error) {
			if err != nil {
				outcomes += "x"
				return
			}
			outcomes += "."
		}
		start := time.Now()
		r := Start(slog.New(slog.NewTextHandler(&log, nil)), observe, Job{
			Name: "test", Title: "test sweep", Interval: time.Minute, Timeout: time.Second, MaxBackoff: 5 * time.Minute, Run: s.run,
		})
		time.Sleep(40 * time.Minute)
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		about := func(d time.Duration) [2]time.Duration { return [2]time.Duration{d * 2 / 3, d * 4 / 3} }
		s.wantGaps(t, start, [2]time.Duration{0, time.Minute + 1}, about(2*time.Minute), about(4*time.Minute), about(5*time.Minute), about(5*time.Minute),
			about(time.Minute), about(time.Minute), about(2*time.Minute), about(4*time.Minute))
		if !strings.HasPrefix(outcomes, "xxxx..xx.") {
			t.Errorf("observed %s", outcomes)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], `level=WARN msg="test sweep skipped, will retry"`) || !strings.Contains(lines[1], `level=ERROR msg="test sweep failed"`) {
			t.Errorf("logged:\n%s\nwant one line for each series of failures", log.String())
		}
	})
}

// TestRunner_Stop: Stop ends the context of the run under way and waits for it, no longer than its own context; that run is
// neither logged nor observed.
func TestRunner_Stop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		observed := 0
		began, letGo := make(chan struct{}), make(chan struct{})
		r := Start(slog.New(slog.NewTextHandler(&log, nil)), func(string, time.Duration, error) { observed++ }, Job{
			Name: "test", Interval: time.Minute, Timeout: time.Hour,
			Run: func(ctx context.Context) (bool, error) {
				close(began)
				<-ctx.Done()
				<-letGo
				return false, ctx.Err()
			},
		})
		<-began
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stop while a run goes on: %v", err)
		}
		close(letGo)
		if err := r.Stop(t.Context()); err != nil {
			t.Errorf("stop: %v", err)
		}
		if observed != 0 || log.Len() != 0 {
			t.Errorf("observed %d times, logged %q", observed, log.String())
		}
	})
}

// TestRunner_Timeout: a run's context ends after Timeout, and the job runs again.
func TestRunner_Timeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		r := Start(quiet, ignore, Job{
			Name: "test", Interval: time.Second, Timeout: time.Minute,
			Run: func(ctx context.Context) (bool, error) {
				start := time.Now()
				<-ctx.Done()
				if took := time.Since(start); runs < 2 && took != time.Minute {
					t.Errorf("a run took %s", took)
				}
				runs++
				return false, ctx.Err()
			},
		})
		time.Sleep(3 * time.Minute)
		if err := r.Stop(t.Context()); err != nil || runs < 2 {
			t.Errorf("%d runs, stop: %v", runs, err)
		}
	})
}

// TestRunner_Nil: a server without background work has no runner.
func TestRunner_Nil(t *testing.T) {
	t.Parallel()
	var r *Runner
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
