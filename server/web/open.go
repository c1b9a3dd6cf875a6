package web

import "net/http"

// Open mounts a page that other sites may send a form to. No visitor is loaded and no origin is checked, so the handler
// must not do anything in anybody's name: it can only pass the request on.
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
