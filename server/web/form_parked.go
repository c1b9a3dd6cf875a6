package web

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"xenoauth/internal/secret"
)

const (
	parkedFor    = 15 * time.Minute
	maxParked    = 4 << 10 // of a form's body
	maxParkedLen = 3800    // of the cookie's value: browsers accept 4096 bytes, name and attributes included
	parkedUse    = "xenoauth parked form"
)

// ParkedForm is a form that was sent after its session had ended. A sealed cookie keeps its values until the next log-in in the
// same browser. It contains no password.
type ParkedForm struct {
	Path   string    `json:"p"`
	For    []byte    `json:"u,omitempty"` // mark of the user who was logged in; empty: for any user
	Values string    `json:"v"`           // URL-encoded
	At     time.Time `json:"t"`
}

// Fields are the form's values, in their order.
func (f ParkedForm) Fields() []ParkedField {
	values, err := parseValues(f.Values)
	if err != nil {
		return nil // it was encoded by park
	}
	var fields []ParkedField
	for _, name := range values.Names() {
		for _, value := range values.All(name) {
			fields = append(fields, ParkedField{Name: name, Label: labelOf(name), Value: value})
		}
	}
	return fields
}

// ParkedField is one value of a parked form.
type ParkedField struct {
	Name, Label, Value string
}

var labelWords = strings.NewReplacer("_", " ", "uris", "URIs", "url", "URL", "pkce", "PKCE")

// labelOf is the name of a field as a page shows it, such as "Redirect URIs" for redirect_uris.
func labelOf(name string) string {
	label := labelWords.Replace(name)
	return strings.ToUpper(label[:min(1, len(label))]) + label[min(1, len(label)):]
}

func (t *Toolkit) parkedCookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: t.cookies.name + "-form", Value: value, Path: "/", MaxAge: age,
		Secure: t.cookies.options.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// park keeps the form of a browser that was logged in before, and reports whether it did. A form with a password is not kept:
// without the password it would be refused.
func (t *Toolkit) park(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost || r.ContentLength > maxParked || !t.returning(r) {
		return false
	}
	values, err := ParseBody(w, r)
	if err != nil || slices.ContainsFunc(values.Names(), func(name string) bool { return strings.Contains(name, "password") }) {
		return false
	}
	var kept Values
	for _, name := range values.Names() {
		if name != "form" { // belongs to the ended session
			for _, value := range values.All(name) {
				kept.add(name, value)
			}
		}
	}
	form := ParkedForm{Path: r.URL.Path, Values: kept.Encode(), At: t.store.Now()}
	if parts := t.devices.read(r); len(parts) > 1 {
		form.For = parts[1]
	}
	sealed, err := t.sealForm(form)
	if err != nil || len(sealed) > maxParkedLen {
		return false
	}
	http.SetCookie(w, t.parkedCookie(sealed, int(parkedFor.Seconds())))
	return true
}

// returning reports whether the browser has one of our cookies, and so was logged in before.
func (t *Toolkit) returning(r *http.Request) bool {
	return len(r.CookiesNamed(t.cookies.name)) > 0 || len(r.CookiesNamed(t.devices.name)) > 0
}

func (t *Toolkit) sealForm(f ParkedForm) (string, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("encode form: %w", err)
	}
	var packed bytes.Buffer
	deflate, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return "", fmt.Errorf("pack form: %w", err)
	}
	if _, err := deflate.Write(plain); err != nil {
		return "", fmt.Errorf("pack form: %w", err)
	}
	if err := deflate.Close(); err != nil {
		return "", fmt.Errorf("pack form: %w", err)
	}
	sealed, err := secret.Seal(t.formKey, packed.Bytes(), parkedUse)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// Parked returns the form in the browser's cookie, if there is one. Another user of the browser does not see it.
func (t *Toolkit) Parked(r *http.Request) (ParkedForm, bool) {
	found := r.CookiesNamed(t.cookies.name + "-form")
	if len(found) != 1 {
		return ParkedForm{}, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(found[0].Value)
	if err != nil {
		return ParkedForm{}, false
	}
	packed, err := secret.Open(t.formKey, sealed, parkedUse)
	if err != nil {
		return ParkedForm{}, false
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), 8*maxParked))
	if err != nil {
		return ParkedForm{}, false
	}
	var f ParkedForm
	if err := json.Unmarshal(plain, &f); err != nil || t.store.Now().Sub(f.At) > parkedFor {
		return ParkedForm{}, false
	}
	if v := VisitorOf(r.Context()); f.For != nil && (v == nil || !bytes.Equal(f.For, t.devices.mark(v.User.Email))) {
		return ParkedForm{}, false
	}
	return f, true
}

// unpark deletes the parked form when the visitor sends any form with a session.
func (t *Toolkit) unpark(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && len(r.CookiesNamed(t.cookies.name+"-form")) > 0 {
		http.SetCookie(w, t.parkedCookie("", -1))
	}
}

// ToLogIn redirects a browser without a session to path, the log-in page. A browser that comes from the log-in without a
// session cookie blocks cookies. It gets a page about that instead, because every further log-in would end the same way.
func (t *Toolkit) ToLogIn(w http.ResponseWriter, r *http.Request, path string) error {
	if t.cookiesBlocked(r) {
		return &Error{Status: http.StatusForbidden, Title: "Cookies are blocked",
			Description: "Your e-mail address and password were correct, but your browser did not keep the session cookie. Allow cookies for this site, or leave private mode if it blocks them, and log in again"}
	}
	Redirect(w, r, path)
	return nil
}

// cookiesBlocked reports whether the browser comes from a log-in and has none of our cookies. SignIn lets the browser send the
// Referer. It sends the same Referer when the page is reloaded, for example after a log-out in another tab, but then it still has
// the cookie of a known browser.
func (t *Toolkit) cookiesBlocked(r *http.Request) bool {
	from, err := url.Parse(r.Referer())
	if err != nil || t.returning(r) || !strings.EqualFold(from.Host, t.issuer.Host) {
		return false
	}
	return from.Path == "/login" || from.Path == "/signup"
}
