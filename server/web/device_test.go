package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

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
		return t.device(r, email)
	}
	c := log(ours, "user0@x.test")
	if c.Name != "__Host-xenoauth-device" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 365*24*3600 {
		t.Errorf("cookie %s", c)
	}
	id := known(ours, "user0@x.test", c)
	for i := range deviceUsers {
		c = log(ours, fmt.Sprintf("user%d@x.test", i), c)
	}
	c = log(ours, "user3@x.test", c) // a second log-in adds no mark
	for i := range deviceUsers {
		if got := known(ours, fmt.Sprintf("user%d@x.test", i), c); got != id || id == "" {
			t.Errorf("user %d: device %q, want %q", i, got, id)
		}
	}
	fifth := log(ours, "user4@x.test", c)
	if known(ours, "user4@x.test", fifth) != id || known(ours, "user0@x.test", fifth) != "" {
		t.Error("of five users, not the oldest log-in was dropped")
	}
	planted := log(ours, "user0@x.test")
	other := log(theirs, "user0@x.test")
	for name, cookies := range map[string][]*http.Cookie{
		"none": nil, "empty": {{Name: c.Name}}, "garbage": {{Name: c.Name, Value: "x"}}, "of another key": {other}, "two": {c, planted},
		"cut": {{Name: c.Name, Value: c.Value[:len(c.Value)-4]}}, "of another name": {{Name: "xenoauth-device", Value: c.Value}},
	} {
		if got := known(ours, "user0@x.test", cookies...); got != "" {
			t.Errorf("%s: browser %q, want unknown", name, got)
		}
	}
	if known(ours, "stranger@x.test", c) != "" {
		t.Error("known to an account that never logged in")
	}
}
