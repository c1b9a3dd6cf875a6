package web

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/securecookie"
)

const (
	deviceAge   = 365 * 24 * time.Hour
	deviceParts = 16 // bytes of a browser's id, and of the mark of each account
	deviceUsers = 4  // accounts that a browser is known to
)

// devices sets a cookie in browsers that have logged in: a random id and the marks of the accounts, authenticated. It grants no
// access; it only shows that the browser is known to the account.
type devices struct {
	name   string
	codec  *securecookie.SecureCookie
	key    []byte
	secure bool
}

func newDevices(key []byte, secure bool) devices {
	d := devices{name: "xenoauth-device", key: seal(key, "devices"), secure: secure}
	if secure {
		d.name = "__Host-xenoauth-device"
	}
	d.codec = securecookie.New(d.key, nil).SetSerializer(securecookie.NopEncoder{}).MaxAge(int(deviceAge.Seconds()))
	return d
}

// mark stands for an account's e-mail address in a cookie.
func (d devices) mark(email string) []byte { return seal(d.key, email)[:deviceParts] }

// read returns the browser's id and marks, the latest first; nil without a valid cookie. Of two cookies with the name an attacker
// set one, so both are ignored.
func (d devices) read(r *http.Request) [][]byte {
	found := r.CookiesNamed(d.name)
	if len(found) != 1 {
		return nil
	}
	var content []byte
	if err := d.codec.Decode(d.name, found[0].Value, &content); err != nil || len(content) == 0 || len(content)%deviceParts != 0 {
		return nil
	}
	return slices.Collect(slices.Chunk(content, deviceParts))
}

// device returns the id of a browser that has logged in to the account before; empty for any other.
func (t *Toolkit) device(r *http.Request, email string) string {
	parts := t.devices.read(r)
	if len(parts) == 0 || !slices.ContainsFunc(parts[1:], func(p []byte) bool { return bytes.Equal(p, t.devices.mark(email)) }) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(parts[0])
}

// rememberDevice gives the browser the cookie, or a new one that has the account first.
func (t *Toolkit) rememberDevice(w http.ResponseWriter, r *http.Request, email string) {
	d, mark := t.devices, t.devices.mark(email)
	id := make([]byte, deviceParts)
	rand.Read(id) // never fails: the runtime crashes the process instead
	var marks [][]byte
	if parts := d.read(r); len(parts) > 0 {
		id = parts[0]
		marks = slices.DeleteFunc(parts[1:], func(p []byte) bool { return bytes.Equal(p, mark) })
	}
	marks = append([][]byte{id, mark}, marks[:min(len(marks), deviceUsers-1)]...)
	value, err := d.codec.Encode(d.name, bytes.Join(marks, nil))
	if err != nil { // a value of this length always encodes; without the cookie the browser is unknown next time
		t.log.WarnContext(r.Context(), "failed to remember the browser", "request", RequestID(r.Context()), "error", err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: d.name, Value: value, Path: "/", MaxAge: int(deviceAge.Seconds()), Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}
