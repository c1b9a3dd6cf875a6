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

// RequestOverError is ErrRequestUnknown for a request that did exist: it expired, or was answered.
type RequestOverError struct {
	App      string // the app's name
	Address  string // where the app is, its redirect URI
	Answered bool
}

// Error implements error.
func (e *RequestOverError) Error() string {
	if e.Answered {
		return "the authorization request of " + e.App + " was answered before"
	}
	return "the authorization request of " + e.App + " has expired"
}

// Unwrap returns ErrRequestUnknown.
func (e *RequestOverError) Unwrap() error { return ErrRequestUnknown }

// ParkedRequest returns the request behind the credential of an address: one that was stored without a session.
// ErrRequestUnknown.
func (d *Directory) ParkedRequest(ctx context.Context, credential string) (store.Request, error) {
	_, r, err := d.request(ctx, credential)
	switch {
	case err != nil:
		return store.Request{}, err
	case !r.DecidedAt.IsZero(), !d.open(r):
		return store.Request{}, d.over(ctx, r)
	case r.Session != nil:
		return store.Request{}, ErrRequestUnknown
	}
	return r, nil
}

// Page is a consent page that is being answered.
type Page struct {
	Request    store.Request
	credential secret.Credential
}

// PageOf returns the consent page behind a credential, decided or not, for the session that answers; nil is a browser
// without one. ErrRequestUnknown; ErrRequestForeign: it was shown to another user; and beside a Page, ErrRequestStale.
func (d *Directory) PageOf(ctx context.Context, credential string, session *store.Session) (Page, error) {
	c, r, err := d.request(ctx, credential)
	switch {
	case err != nil:
		return Page{}, err
	case r.Session == nil:
		return Page{}, ErrRequestForeign
	case !d.open(r):
		return Page{}, d.over(ctx, r)
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
		return Page{}, d.over(ctx, r)
	}
	return p, ErrRequestStale
}

// request looks a credential up, whatever has become of its request.
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

// over names the app of a request that cannot be answered any more, so that its user knows where to go.
func (d *Directory) over(ctx context.Context, r store.Request) error {
	app, err := d.store.AppByID(ctx, r.AppID)
	if errors.Is(err, store.ErrNotFound) {
		return ErrRequestUnknown
	}
	if err != nil {
		return fmt.Errorf("look up app %s: %w", r.AppID, err)
	}
	return &RequestOverError{App: app.Name, Address: r.RedirectURI, Answered: !r.DecidedAt.IsZero()}
}

// Over is the error for a page whose answer cannot be given again.
func (d *Directory) Over(ctx context.Context, p Page) error { return d.over(ctx, p.Request) }

// Reload returns p as it is now.
func (d *Directory) Reload(ctx context.Context, p Page) (Page, error) {
	var err error
	if p.Request, err = d.store.RequestByID(ctx, p.Request.ID); err != nil {
		return Page{}, fmt.Errorf("look up authorization request: %w", err)
	}
	return p, nil
}

// ShownTo reports whether the page was shown to the session.
func (p Page) ShownTo(session store.Session) bool { return bytes.Equal(session.ID, p.Request.Session) }

// Repeats reports whether decision is the one that p got, a moment ago.
func (d *Directory) Repeats(p Page, decision string) bool {
	return p.Request.Decision == decision && d.store.Now().Before(p.Request.DecidedAt.Add(answerRepeats))
}

const answerContext = "xenoauth consent answer"

// KeepCode keeps the code that an allowed request got, so that the same answer gets it again. It is sealed under the page's
// credential, which the database does not hold. store.ErrConsumed: another code was kept before.
func (d *Directory) KeepCode(ctx context.Context, p Page, code string) error {
	sealed, err := p.credential.Seal([]byte(code), answerContext)
	if err != nil {
		return fmt.Errorf("seal code: %w", err)
	}
	return d.store.KeepAnswer(ctx, p.Request.ID, sealed)
}

// KeptCode returns the code that KeepCode kept, waiting for it up to the given time while another answer of the page is being
// worked on; "" if there is none then.
func (d *Directory) KeptCode(ctx context.Context, p Page, patience time.Duration) (string, error) {
	deadline, pause := time.Now().Add(patience), 20*time.Millisecond
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
