package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// RequestEndedError is ErrRequestUnknown for a request that did exist: it expired, or was answered.
type RequestEndedError struct {
	App      string // the app's name
	Address  string // the redirect URI of the app
	Answered bool
}

// Error implements error.
func (e *RequestEndedError) Error() string {
	if e.Answered {
		return "the authorization request of " + e.App + " was answered before"
	}
	return "the authorization request of " + e.App + " has expired"
}

// Unwrap returns ErrRequestUnknown.
func (e *RequestEndedError) Unwrap() error { return ErrRequestUnknown }

// ParkedRequest returns the request behind the credential of an address: one that was stored without a session.
// ErrRequestUnknown.
func (d *Directory) ParkedRequest(ctx context.Context, credential string) (store.Request, error) {
	_, r, err := d.request(ctx, credential)
	switch {
	case err != nil:
		return store.Request{}, err
	case !r.DecidedAt.IsZero(), !d.open(r):
		return store.Request{}, d.endedError(ctx, r)
	case r.Session != nil:
		return store.Request{}, ErrRequestUnknown
	}
	return r, nil
}

// Page is a consent page whose form was submitted.
type Page struct {
	Request    store.Request
	credential secret.Credential
}

// PageOf returns the consent page behind a credential, decided or not, for the session that submits it; nil is a browser
// without one. ErrRequestUnknown; ErrRequestForeign: it was shown to another user; and beside a Page, ErrRequestStale.
func (d *Directory) PageOf(ctx context.Context, credential string, session *store.Session) (Page, error) {
	c, r, err := d.request(ctx, credential)
	switch {
	case err != nil:
		return Page{}, err
	case r.Session == nil:
		return Page{}, ErrRequestForeign
	case !d.open(r):
		return Page{}, d.endedError(ctx, r)
	}
	p := Page{Request: r, credential: c}
	switch {
	case session != nil && p.ShownTo(*session):
		if r.DecidedAt.IsZero() && !d.store.Now().Before(r.ExpiresAt) {
			return p, ErrRequestStale
		}
		return p, nil
	case session != nil && session.UserID != r.UserID:
		return Page{}, ErrRequestForeign
	case !r.DecidedAt.IsZero():
		return Page{}, d.endedError(ctx, r)
	}
	return p, ErrRequestStale
}

// request looks up the request of a credential, in any state.
func (d *Directory) request(ctx context.Context, credential string) (secret.Credential, store.Request, error) {
	c, ok := d.format.Parse(credential)
	if !ok || c.Kind != secret.Request {
		return c, store.Request{}, ErrRequestUnknown
	}
	r, err := d.store.RequestByID(ctx, c.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !c.Matches(r.Hash) {
		return c, store.Request{}, ErrRequestUnknown
	}
	if err != nil {
		return c, store.Request{}, fmt.Errorf("look up authorization request: %w", err)
	}
	return c, r, nil
}

func (d *Directory) open(r store.Request) bool {
	return d.store.Now().Before(r.CreatedAt.Add(requestOpen))
}

// endedError names the app of a request that cannot be answered any more, so that its user knows where to go.
func (d *Directory) endedError(ctx context.Context, r store.Request) error {
	app, err := d.store.AppByID(ctx, r.AppID)
	if errors.Is(err, store.ErrNotFound) {
		return ErrRequestUnknown
	}
	if err != nil {
		return fmt.Errorf("look up app %s: %w", r.AppID, err)
	}
	return &RequestEndedError{App: app.Name, Address: r.RedirectURI, Answered: !r.DecidedAt.IsZero()}
}

// RequestEnded is the error for a page whose answer cannot be given again.
func (d *Directory) RequestEnded(ctx context.Context, p Page) error {
	return d.endedError(ctx, p.Request)
}

// Reload reads p again.
func (d *Directory) Reload(ctx context.Context, p Page) (Page, error) {
	var err error
	if p.Request, err = d.store.RequestByID(ctx, p.Request.ID); err != nil {
		return Page{}, fmt.Errorf("look up authorization request: %w", err)
	}
	return p, nil
}

// ShownTo reports whether the page was shown to the session.
func (p Page) ShownTo(session store.Session) bool { return bytes.Equal(session.ID, p.Request.Session) }

// Repeats reports whether decision is the recent decision of p.
func (d *Directory) Repeats(p Page, decision string) bool {
	return p.Request.Decision == decision && d.store.Now().Before(p.Request.DecidedAt.Add(answerRepeats))
}

const answerContext = "xenoauth consent answer"

// KeepCode stores the code of an allowed request, so that the same decision gets it again. It is sealed under the credential of
// the page, which is not in the database. store.ErrConsumed: another code was stored before.
func (d *Directory) KeepCode(ctx context.Context, p Page, code string) error {
	sealed, err := p.credential.Seal([]byte(code), answerContext)
	if err != nil {
		return fmt.Errorf("seal code: %w", err)
	}
	return d.store.KeepAnswer(ctx, p.Request.ID, sealed)
}

// KeptCode returns the code that KeepCode kept, waiting for it up to the given time while another answer of the page is being
// worked on; "" if there is none then.
func (d *Directory) KeptCode(ctx context.Context, p Page, timeout time.Duration) (string, error) {
	deadline, pause := time.Now().Add(timeout), 20*time.Millisecond
	for {
		r, err := d.store.RequestByID(ctx, p.Request.ID)
		if err != nil {
			return "", fmt.Errorf("look up the answer of an authorization request: %w", err)
		}
		if r.Answer != nil {
			code, err := p.credential.Open(r.Answer, answerContext)
			return string(code), err
		}
		if time.Now().After(deadline) {
			return "", nil
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, 200*time.Millisecond)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}
