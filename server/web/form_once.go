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
	// shownFor is how long a page that shows something once waits for its browser.
	shownFor = 5 * time.Minute
	// shownAgain is how long after it was shown the same form, sent again, may show it again: on a slow line, a second click
	// overtakes the page that is on its way.
	shownAgain = 10 * time.Second
	onceLen    = 26 // characters of rand.Text
	shownUse   = "xenoauth shown once"
)

// Shown is the content of a page that is shown once.
type Shown struct {
	ID     string // of the app, key or bot
	New    bool   // it was made just now
	Secret string // "" for a public app
	Others string // the fate of the earlier secrets
}

// once is the hidden field of a form that is good once: each rendered form has a value of its own.
func once() string { return rand.Text() }

// formID names a form as it was submitted: the form's own value with all values in it, and the path. Sent again, it is
// the same; with other values it is another form. A form without the field, of a program, is a new one each time.
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
	rand.Read(b) // never fails: the runtime ends the process instead
	return b
}

// pageKey is the key under which a value of a page is kept. Only the session that the value belongs to finds it.
func pageKey(r *http.Request, use, id string) []byte {
	session := []byte{}
	if v := VisitorOf(r.Context()); v != nil {
		session = v.Session.ID
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %x %s", use, session, id))
	return sum[:]
}

// Once carries out a form that makes or changes something, and answers 303: to the path to, or, if that ends in a slash, to
// the page below it that shows once what do returns. The same form again, a second click or a resent one, does nothing and
// gets the same answer. do runs to its end even if the browser has gone; it must write as by, one event. An error of do
// is returned as it is.
func (t *Toolkit) Once(w http.ResponseWriter, r *http.Request, values Values, to string, do func(r *http.Request, by store.Principal) (*Shown, error)) error {
	r = r.WithContext(context.WithoutCancel(r.Context()))
	id, known := formID(r, values)
	if strings.HasSuffix(to, "/") {
		to += id
	}
	if known {
		if _, sent, err := t.SentBefore(r, values); err != nil || sent {
			return t.again(w, r, id, to, err)
		}
	}
	shown, err := do(r, formPrincipal(r, id))
	if err != nil {
		if _, sent, _ := t.SentBefore(r, values); sent {
			return t.again(w, r, id, to, nil)
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

// FormPrincipal is the visitor, logged in or not, acting by a form that SentBefore recognises afterwards.
func (t *Toolkit) FormPrincipal(r *http.Request, values Values) store.Principal {
	id, _ := formID(r, values)
	return formPrincipal(r, id)
}

// SentBefore reports whether the same form was carried out before, and the id of the thing that it made or changed.
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

// again answers a form that was carried out before as it was then.
func (t *Toolkit) again(w http.ResponseWriter, r *http.Request, id, to string, err error) error {
	if err == nil {
		err = t.store.ReturnPageValue(r.Context(), pageKey(r, "shown", id))
	}
	if err != nil {
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

// ErrShownBefore: the page was shown already. The Shown beside it has an ID, if that is known, and no more.
var ErrShownBefore = errors.New("it was shown before")

// shownPatience is how long a page waits for what its form, sent twice, is still making.
const shownPatience = 2 * time.Second

// TakeShown returns the content of the page with that id, this once.
func (t *Toolkit) TakeShown(r *http.Request, id string) (Shown, error) {
	v, err := t.store.TakePageValue(r.Context(), pageKey(r, "shown", id), t.store.Now().Add(shownAgain))
	for end, pause := time.Now().Add(shownPatience), 20*time.Millisecond; errors.Is(err, store.ErrNotFound); pause = min(2*pause, 200*time.Millisecond) {
		form, formErr := t.store.PageValueByID(r.Context(), pageKey(r, "form", id))
		if formErr != nil {
			return Shown{}, formErr
		}
		// Another answer to the same form may be about to keep it.
		if t.store.Now().Sub(form.CreatedAt) > shownPatience || time.Now().After(end) {
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

// Ending is the visitor as the principal that ends the thing that the path of the request names, so that Ended finds it afterwards.
func (v *Visitor) Ending(r *http.Request) store.Principal {
	return v.Principal(r).WithForm(endedKey(r))
}

func endedKey(r *http.Request) []byte {
	sum := sha256.Sum256([]byte("ended " + VisitorOf(r.Context()).User.ID + " " + r.URL.Path))
	return sum[:]
}

// Ended answers for something that does not exist by err: if the visitor has ended it under this very path, by a first
// click or in another tab, the browser goes to the page to, with a notice; else err is returned.
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
