package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/store"
)

// world is a server, an API that tells what reaches it, and a gateway between the two and the client.
type world struct {
	env     *harness.Env
	asked   *harness.Env     // the server that the gateway asks
	front   *httptest.Server // the way that the gateway takes to it
	api     *httptest.Server
	url     string
	reached atomic.Int64 // requests that the API saw
}

// echo is what the API saw.
type echo struct {
	Method, URI, Body, Authorization string
	Identity                         harness.Identity
	Others                           []string // header names that look like an identity and are none
}

// each runs test behind each gateway on each database.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			need(t, p.name)
			dbtest.Each(t, func(t *testing.T, st store.Store) {
				w := &world{env: harness.New(t, st)}
				w.asked = w.env.Sibling()
				w.front = httptest.NewServer(w.asked.Server.Handler())
				t.Cleanup(w.front.Close)
				w.api = httptest.NewServer(http.HandlerFunc(w.tell))
				t.Cleanup(w.api.Close)
				w.url = p.start(t, w.front.Listener.Addr().String(), w.api.Listener.Addr().String())
				test(t, w)
			})
		})
	}
}

func (w *world) tell(rw http.ResponseWriter, r *http.Request) {
	w.reached.Add(1)
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		socket(rw, r)
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		rw.Header().Set("Access-Control-Allow-Origin", origin)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	seen := echo{Method: r.Method, URI: r.RequestURI, Body: string(body), Authorization: strings.Join(r.Header.Values("Authorization"), ", ")}
	seen.Identity = harness.IdentityOf(r.Header).Filled()
	for name := range r.Header {
		plain := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		if strings.Contains(plain, "xenoauth") && name != http.CanonicalHeaderKey(plain) {
			seen.Others = append(seen.Others, name)
		}
	}
	if r.URL.Path == "/contacts/broken" { // the API's own fault
		rw.WriteHeader(http.StatusInternalServerError)
	}
	if err := json.NewEncoder(rw).Encode(seen); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// ask sends a request through the gateway, with further headers given as name, value, …; a name is sent as it is written.
func (w *world) ask(t *testing.T, method, path, token, body string, headers ...string) harness.Answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request, err := http.NewRequest(method, w.url+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header[headers[i]] = append(request.Header[headers[i]], headers[i+1])
	}
	return w.env.With(t).Do(request)
}

// passes asserts that a request reaches the API, and returns what reached it.
func (w *world) passes(t *testing.T, what string, a harness.Answer) echo {
	t.Helper()
	var seen echo
	if err := json.Unmarshal([]byte(a.Body), &seen); err != nil || a.Status != http.StatusOK {
		t.Errorf("%s: %d, want the API's answer: %.300s", what, a.Status, a.Body)
	}
	return seen
}

// refused asserts an answer that is not the API's.
func (w *world) refused(t *testing.T, what string, status int, challenge string, ask func() harness.Answer) harness.Answer {
	t.Helper()
	before := w.reached.Load()
	a := ask()
	if a.Status != status || a.Header.Get("WWW-Authenticate") != challenge || len(a.Header.Values("WWW-Authenticate")) > 1 {
		t.Errorf("%s: %d %q, want %d %q: %.300s", what, a.Status, a.Header.Values("WWW-Authenticate"), status, challenge, a.Body)
	}
	if w.reached.Load() != before {
		t.Errorf("%s: it has reached the API", what)
	}
	return a
}
