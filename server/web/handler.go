package web

import "net/http"

// Handler answers a request, or returns an error before it has written anything. The adapter that mounts the handler turns
// the error into a page or into JSON.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Page mounts a handler for browsers. It loads the visitor if there is a session; if the database is unavailable, the response
// is 503 and never "logged out". Unsafe methods must come from our own pages. Errors become pages.
func (t *Toolkit) Page(h Handler) http.Handler { return pageHandler{t: t, h: h} }

// Private is Page for users who are logged in. Without a visitor it redirects to /login, with a name of the page to return to.
// The values of a form are kept meanwhile.
func (t *Toolkit) Private(h Handler) http.Handler {
	return t.Page(func(w http.ResponseWriter, r *http.Request) error {
		if VisitorOf(r.Context()) == nil {
			if t.park(w, r) {
				Redirect(w, r, "/login?next=form")
				return nil
			}
			return t.ToLogIn(w, r, loginURL(r.URL.Path))
		}
		t.unpark(w, r)
		return h(w, r)
	})
}

// Ending marks a handler of Page or Private that only ends something: a visitor who has used up the changes of an hour may
// still do that.
func (t *Toolkit) Ending(h http.Handler) http.Handler {
	if p, ok := h.(pageHandler); ok {
		p.ends = true
		return p
	}
	return h
}

// API mounts a handler for programs. It never reads cookies, forbids caching, and turns errors into JSON.
func (t *Toolkit) API(h Handler) http.Handler { return apiHandler{t, h} }

type pageHandler struct {
	t    *Toolkit
	h    Handler
	ends bool // creates nothing
}

func (p pageHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.t.pageHeaders(w.Header(), r)
	if target, elsewhere := p.t.canonical(r); elsewhere {
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	if err := p.t.origins.Check(r); err != nil {
		p.t.pageError(w, r, foreignOrigin(err))
		return
	}
	r, err := p.t.withVisitor(r)
	if v := VisitorOf(r.Context()); err == nil && v != nil && !p.ends && r.Method == http.MethodPost {
		err = p.t.CountChange(v.User.ID)
	}
	if err == nil {
		err = p.h(w, r)
	}
	if err != nil {
		p.t.pageError(w, r, err)
	}
}

type apiHandler struct {
	t *Toolkit
	h Handler
}

func (a apiHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.t.apiHeaders(w.Header())
	if err := a.h(w, r); err != nil {
		a.t.apiError(w, r, err)
	}
}

// Open mounts a page to which other sites may post a form. It loads no visitor and checks no origin, so the handler must not
// act for a user: it can only pass the request on.
func (t *Toolkit) Open(h Handler) http.Handler { return openHandler{t, h} }

type openHandler struct {
	t *Toolkit
	h Handler
}

func (o openHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.t.pageHeaders(w.Header(), r)
	if err := o.h(w, r); err != nil {
		o.t.pageError(w, r, err)
	}
}

// Messages is API for endpoints whose errors have the form {"message": "…"} (docs/errors.md, integration tokens).
func (t *Toolkit) Messages(h Handler) http.Handler { return messageHandler{t, h} }

type messageHandler struct {
	t *Toolkit
	h Handler
}

type jsonMessage struct {
	Message string `json:"message"`
}

func (m messageHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.t.apiHeaders(w.Header())
	if err := m.h(w, r); err != nil {
		m.writeError(w, r, err)
	}
}

func (m messageHandler) writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := classify(err)
	m.t.logError(r, e, err)
	for name, values := range e.Header {
		w.Header()[name] = values
	}
	if err := WriteJSON(w, e.Status, jsonMessage{plainASCII(e.sentence())}); err != nil {
		m.t.log.DebugContext(r.Context(), "failed to write the response", "request", RequestID(r.Context()), "error", err)
	}
}
