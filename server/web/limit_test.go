package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTallies(t *testing.T) {
	t.Parallel()
	start := time.Now()
	c := newTallies(2, time.Minute)
	for _, step := range []struct {
		key   string
		after time.Duration
		wait  time.Duration
	}{
		{"a", 0, 0}, {"a", 10 * time.Second, 0}, {"a", 20 * time.Second, 40 * time.Second}, {"b", 20 * time.Second, 0},
		{"a", 59 * time.Second, time.Second}, {"a", time.Minute, 0}, {"a", 61 * time.Second, 0}, {"a", 62 * time.Second, 58 * time.Second}, {"b", 70 * time.Second, 0},
	} {
		if wait := c.add(step.key, start.Add(step.after)); wait != step.wait {
			t.Errorf("%s after %s: wait %s, want %s", step.key, step.after, wait, step.wait)
		}
	}
}

// TestTalliesAreBounded: more addresses than there is room for cost no more memory, and push out those that are over first.
func TestTalliesAreBounded(t *testing.T) {
	t.Parallel()
	start := time.Now()
	c := newTallies(1, time.Minute)
	for i := range maxTallies / 2 {
		c.add(fmt.Sprint("old", i), start)
	}
	for i := range maxTallies/2 + 10 {
		c.add(fmt.Sprint("new", i), start.Add(time.Minute))
	}
	if n := len(c.of); n != maxTallies/2+10 {
		t.Errorf("%d are kept, want those that are not over", n)
	}
	for i := range 3 * maxTallies {
		c.add(fmt.Sprint("more", i), start.Add(time.Minute))
	}
	if n := len(c.of); n > maxTallies {
		t.Errorf("%d are kept, want at most %d", n, maxTallies)
	}
}

// TestOneAddressCrowdsOutNobody: an address that must wait counts nowhere else, however many keys it tries.
func TestOneAddressCrowdsOutNobody(t *testing.T) {
	t.Parallel()
	toolkit := &Toolkit{limits: newLimits(nil, []byte("key"), FailureLimits{Client: 3})}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	waits := 0
	for i := range 2 * maxTallies {
		var limited *LimitError
		if errors.As(toolkit.RefusedKey(r, fmt.Sprintf("xnok_%022d", i), errors.New("unknown")), &limited) {
			waits++
		}
	}
	if n := len(toolkit.limits.clients.of); waits != 2*maxTallies-3 || n != 4 {
		t.Errorf("of %d guesses %d were told to wait, and %d counts are kept; want all but 3, and 4", 2*maxTallies, waits, n)
	}
}

func TestTalliesAtOnce(t *testing.T) {
	t.Parallel()
	c := newTallies(5, time.Hour)
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if c.add("a", time.Now()) == 0 {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	if passed.Load() != 5 {
		t.Errorf("%d passed, want 5", passed.Load())
	}
}

func TestDeviceCookie(t *testing.T) {
	t.Parallel()
	of := func(key string) *Toolkit { return &Toolkit{devices: newDevices([]byte(key), true)} }
	ours, theirs := of("0123456789abcdef0123456789abcdef"), of("fedcba9876543210fedcba9876543210")
	log := func(t *Toolkit, email string, cookies ...*http.Cookie) *http.Cookie {
		r, w := httptest.NewRequest(http.MethodPost, "/login", nil), httptest.NewRecorder()
		for _, c := range cookies {
			r.AddCookie(c)
		}
		t.rememberDevice(w, r, email)
		return w.Result().Cookies()[0]
	}
	known := func(t *Toolkit, email string, cookies ...*http.Cookie) string {
		r := httptest.NewRequest(http.MethodPost, "/login", nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		id, ok := t.device(r, email)
		if ok != (id != "") {
			return "an id without being known"
		}
		return id
	}
	c := log(ours, "user0@x.test")
	if c.Name != "__Host-xenoauth-device" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 365*24*3600 {
		t.Errorf("cookie %s", c)
	}
	id := known(ours, "user0@x.test", c)
	for i := range deviceUsers {
		c = log(ours, fmt.Sprintf("user%d@x.test", i), c)
	}
	c = log(ours, "user3@x.test", c) // again is no more
	for i := range deviceUsers {
		if got := known(ours, fmt.Sprintf("user%d@x.test", i), c); got != id || id == "" {
			t.Errorf("user %d: device %q, want %q", i, got, id)
		}
	}
	fifth := log(ours, "user4@x.test", c)
	if known(ours, "user4@x.test", fifth) != id || known(ours, "user0@x.test", fifth) != "" {
		t.Error("of five the one who logged in longest ago is forgotten")
	}
	planted := log(ours, "user0@x.test")
	other := log(theirs, "user0@x.test")
	for name, cookies := range map[string][]*http.Cookie{
		"none": nil, "empty": {{Name: c.Name}}, "garbage": {{Name: c.Name, Value: "x"}}, "of another key": {other}, "two": {c, planted},
		"cut": {{Name: c.Name, Value: c.Value[:len(c.Value)-4]}}, "of another name": {{Name: "xenoauth-device", Value: c.Value}},
	} {
		if got := known(ours, "user0@x.test", cookies...); got != "" {
			t.Errorf("%s: known as %q", name, got)
		}
	}
	if known(ours, "stranger@x.test", c) != "" {
		t.Error("known to an account that never logged in here")
	}
}

func TestLimitErrorSaysHowLong(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		time.Microsecond: "Wait 1 second and", 1500 * time.Millisecond: "Wait 2 seconds and", 90 * time.Second: "Wait 90 seconds and",
		91 * time.Second: "Wait 2 minutes and", 15 * time.Minute: "Wait 15 minutes and",
	} {
		e := &LimitError{Wait: wait}
		if got := e.Sentence(); got != "There were too many failed tries. "+want+" try again." {
			t.Errorf("%s: %q, want %q", wait, got, want)
		}
	}
}
