package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

const (
	// shownFor is how long the content of a page that is shown once is kept.
	shownFor = 5 * time.Minute
	// shownAgain is how long after that page the same form, sent again, shows it again: on a slow connection a second click
	// overtakes the first response.
	shownAgain = 10 * time.Second
	onceLen    = 26 // characters of rand.Text
	shownUse   = "xenoauth shown once"
)

// Shown is the content of a page that is shown once.
type Shown struct {
	ID     string // of the app, key or bot
	New    bool   // it was created just now
	Secret string // "" for a public app
	Others string // when the earlier secrets end
}

// once is the hidden field of a form that is carried out once. Each rendered form has a value of its own.
func once() string { return rand.Text() }

// formID identifies a submitted form by the value of once, its path and all its values. The same form sent again has the same
// id; with other values it has another. A form without the field, sent by a program, has a new id each time.
func formID(r *http.Request, values Values) (id string, known bool) {
	field := values.Get("form")
	if len(field) != onceLen || strings.Trim(field, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return base64.RawURLEncoding.EncodeToString(random(sha256.Size)), false
	}
	mac := hmac.New(sha256.New, []byte(field))
	mac.Write([]byte(r.URL.Path + "?" + values.Encode()))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), true
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: the runtime crashes the process instead
	return b
}

// pageKey is the key of a stored value of a page. Only the session that stored the value can compute it.
func pageKey(r *http.Request, use, id string) []byte {
	session := []byte{}
	if v := VisitorOf(r.Context()); v != nil {
		session = v.Session.ID
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %x %s", use, session, id))
	return sum[:]
}

// Once carries out a form that creates or changes something, and redirects with 303: to the path to, or, if that ends in a
// slash, to the page below it that shows the result of do once. The same form sent again, by a second click or a reload, does
// nothing and gets the same response. do runs to its end even if the browser closes the connection. It must record exactly one
// event, as by. Its error is returned unchanged.
func (t *Toolkit) Once(w http.ResponseWriter, r *http.Request, values Values, to string, do func(r *http.Request, by store.Principal) (*Shown, error)) error {
	r = r.WithContext(context.WithoutCancel(r.Context()))
	id, _ := formID(r, values)
	if strings.HasSuffix(to, "/") {
		to += id
	}
	shown, err := do(r, formPrincipal(r, id))
	if err != nil { // a form that was carried out before fails with store.ErrConsumed, or because of what it changed
		if _, sent, _ := t.SentBefore(r, values); sent {
			return t.again(w, r, id, to)
		}
		return err
	}
	if shown != nil {
		if err := t.keepShown(r, id, *shown); err != nil {
			return err
		}
	}
	Redirect(w, r, to)
	return nil
}

func formPrincipal(r *http.Request, id string) store.Principal {
	return PrincipalOf(r).WithForm(pageKey(r, "form", id))
}

// FormPrincipal is the visitor, logged in or not, who acts by a form that SentBefore recognizes afterwards.
func (t *Toolkit) FormPrincipal(r *http.Request, values Values) store.Principal {
	id, _ := formID(r, values)
	return formPrincipal(r, id)
}

// SentBefore reports whether the same form was carried out before, and the id of the object that it created or changed.
func (t *Toolkit) SentBefore(r *http.Request, values Values) (subject string, sent bool, err error) {
	id, known := formID(r, values)
	if !known {
		return "", false, nil
	}
	v, err := t.store.PageValueByID(r.Context(), pageKey(r, "form", id))
	if errors.Is(err, store.ErrNotFound) {
		return "", false, nil
	}
	return v.Subject, err == nil, err
}

// again repeats the response to a form that was carried out before.
func (t *Toolkit) again(w http.ResponseWriter, r *http.Request, id, to string) error {
	if err := t.store.ReturnPageValue(r.Context(), pageKey(r, "shown", id)); err != nil {
		return err
	}
	Redirect(w, r, to)
	return nil
}

func (t *Toolkit) keepShown(r *http.Request, id string, s Shown) error {
	plain, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the page that is shown once: %w", err)
	}
	sealed, err := secret.Seal([]byte(id), plain, shownUse)
	if err != nil {
		return fmt.Errorf("seal the page that is shown once: %w", err)
	}
	now := t.store.Now()
	return t.store.KeepPageValue(r.Context(), store.PageValue{ID: pageKey(r, "shown", id), Sealed: sealed, CreatedAt: now, ExpiresAt: now.Add(shownFor)})
}

// ErrShownBefore: the page was shown already. The Shown returned with it has only an ID, if that is known.
var ErrShownBefore = errors.New("it was shown before")

// shownBudget is how long a page waits for its content while the same form, sent twice, is still being carried out.
const shownBudget = 2 * time.Second

// TakeShown returns the content of the page with that id, once.
func (t *Toolkit) TakeShown(r *http.Request, id string) (Shown, error) {
	v, err := t.store.TakePageValue(r.Context(), pageKey(r, "shown", id), t.store.Now().Add(shownAgain))
	for end, pause := time.Now().Add(shownBudget), 20*time.Millisecond; errors.Is(err, store.ErrNotFound); pause = min(2*pause, 200*time.Millisecond) {
		form, formErr := t.store.PageValueByID(r.Context(), pageKey(r, "form", id))
		if formErr != nil {
			return Shown{}, formErr
		}
		// Another request with the same form may be about to store it.
		if t.store.Now().Sub(form.CreatedAt) > shownBudget || time.Now().After(end) {
			return Shown{ID: form.Subject}, ErrShownBefore
		}
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
			return Shown{}, r.Context().Err()
		}
		v, err = t.store.TakePageValue(r.Context(), pageKey(r, "shown", id), t.store.Now().Add(shownAgain))
	}
	if err != nil {
		return Shown{}, err
	}
	plain, err := secret.Open([]byte(id), v.Sealed, shownUse)
	if err != nil {
		return Shown{}, fmt.Errorf("open the page that is shown once: %w", err)
	}
	var s Shown
	if err := json.Unmarshal(plain, &s); err != nil {
		return Shown{}, fmt.Errorf("decode the page that is shown once: %w", err)
	}
	return s, nil
}

// Ending is the visitor who ends the object that the path of the request names. Ended recognizes that afterwards.
func (v *Visitor) Ending(r *http.Request) store.Principal {
	return v.Principal(r).WithForm(endedKey(r))
}

func endedKey(r *http.Request) []byte {
	sum := sha256.Sum256([]byte("ended " + VisitorOf(r.Context()).User.ID + " " + r.URL.Path))
	return sum[:]
}

// Ended handles err, which reports that an object does not exist. If the visitor has ended it under the same path before, by a
// first click or in another tab, Ended redirects to the page to with a notice; otherwise it returns err.
func (t *Toolkit) Ended(w http.ResponseWriter, r *http.Request, err error, to string) error {
	if status := classify(err).Status; status != http.StatusNotFound && status != http.StatusConflict {
		return err
	}
	switch _, lookUp := t.store.PageValueByID(r.Context(), endedKey(r)); {
	case errors.Is(lookUp, store.ErrNotFound):
		return err
	case lookUp != nil:
		return lookUp
	}
	t.Notice(w, r, "This was already done. There is nothing left to do.")
	Redirect(w, r, to)
	return nil
}
