package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/gorilla/sessions"

	"xenoauth/store"
)

// Visitor is the logged-in user who makes the request.
type Visitor struct {
	User    store.User
	Session store.Session
}

// Principal is the visitor as the party that acts.
func (v *Visitor) Principal(r *http.Request) store.Principal {
	return store.UserPrincipal(v.User.ID, ClientIP(r))
}

// PrincipalOf returns the party that makes the request from a browser: the user who is logged in, or a visitor.
func PrincipalOf(r *http.Request) store.Principal {
	if v := VisitorOf(r.Context()); v != nil {
		return v.Principal(r)
	}
	return store.VisitorPrincipal(ClientIP(r))
}

// browser is the session of one request. SignIn and SignOut replace it, so that a later notice, or the header of the page,
// belongs to the new session.
type browser struct {
	session *sessions.Session
}

type browserKey struct{}

// VisitorOf returns the user who is logged in, or nil. Under API it is always nil.
func VisitorOf(ctx context.Context) *Visitor {
	b, ok := ctx.Value(browserKey{}).(*browser)
	if !ok || b.session == nil {
		return nil
	}
	row, stored := b.session.Values[rowKey{}].(store.Session)
	user, known := b.session.Values[userKey{}].(store.User)
	if !stored || !known {
		return nil
	}
	return &Visitor{User: user, Session: row}
}

// withVisitor loads the session, if there is one, and updates its row every few minutes while it is in use.
func (t *Toolkit) withVisitor(r *http.Request) (*http.Request, error) {
	session, err := t.cookies.New(r, t.cookies.name)
	if err != nil {
		return r, err
	}
	b := &browser{session}
	r = r.WithContext(context.WithValue(r.Context(), browserKey{}, b))
	if v := VisitorOf(r.Context()); v != nil && t.store.Now().Sub(v.Session.SeenAt) >= touchInterval {
		b.save(t, r, "failed to update the session")
	}
	return r, nil
}

// save updates the row. It only logs a failure, because no change that a user made depends on it.
func (b *browser) save(t *Toolkit, r *http.Request, what string) {
	if err := t.cookies.Save(r, nil, b.session); err != nil {
		t.log.WarnContext(r.Context(), what, "request", RequestID(r.Context()), "error", err)
	}
}

// SignIn makes user the visitor: a new session with a new id. The browser's old session ends in the same operation, so that
// an attacker who knew its id before the log-in cannot use it afterwards. The caller has verified the password.
// store.ErrEnded: the user is disabled.
func (t *Toolkit) SignIn(w http.ResponseWriter, r *http.Request, user store.User) error {
	b, ok := r.Context().Value(browserKey{}).(*browser)
	if !ok {
		return errNoPage
	}
	options := t.cookies.options
	fresh := sessions.NewSession(t.cookies, t.cookies.name)
	fresh.Options, fresh.IsNew = &options, true
	fresh.Values[userKey{}] = user
	if old := VisitorOf(r.Context()); old != nil {
		fresh.Values[replacesKey{}] = old.Session.ID
	}
	if err := t.cookies.Save(r, w, fresh); err != nil {
		return err
	}
	b.session = fresh
	// cookiesBlocked recognizes by it that a page follows a log-in.
	w.Header().Set("Referrer-Policy", "same-origin")
	return nil
}

// SignOut ends the session in the database and deletes the cookie. Without a session it does nothing.
func (t *Toolkit) SignOut(w http.ResponseWriter, r *http.Request) error {
	b, ok := r.Context().Value(browserKey{}).(*browser)
	if !ok {
		return errNoPage
	}
	if VisitorOf(r.Context()) == nil {
		return nil
	}
	b.session.Options.MaxAge = -1
	if err := t.cookies.Save(r, w, b.session); err != nil {
		return err
	}
	b.session = nil
	return nil
}

// Notice shows text once, on the visitor's next page. Without a visitor there is no session to keep it in, and it does nothing.
func (t *Toolkit) Notice(_ http.ResponseWriter, r *http.Request, text string) {
	b, ok := r.Context().Value(browserKey{}).(*browser)
	if !ok || VisitorOf(r.Context()) == nil {
		return
	}
	b.session.AddFlash(text)
	b.save(t, r, "failed to save the notice")
}

// takeNotices returns the stored notices and removes them. A HEAD request shows no page, and takes none.
func (t *Toolkit) takeNotices(r *http.Request) []string {
	b, ok := r.Context().Value(browserKey{}).(*browser)
	if !ok || r.Method == http.MethodHead || VisitorOf(r.Context()) == nil {
		return nil
	}
	var texts []string
	for _, flash := range b.session.Flashes() {
		// A form that was sent twice leaves the same notice twice.
		if text, isText := flash.(string); isText && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	if texts != nil {
		b.save(t, r, "failed to remove the notice")
	}
	return texts
}
