package bearer_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"xenoauth/bearer"
)

const (
	id     = "rs_contacts"
	secret = "xnos_s3cret+/ with %41 space"
	token  = "xnoa_0123456789"
	active = `{"active":true,"scope":"contacts","client_id":"app_1","sub":"u1","token_type":"Bearer","iat":1700000000,"permissions":["contact:list"]}`
	dead   = `{"active":false}`
)

// xeno is an introspection endpoint with a response that the test sets. It refuses requests that Xenoauth would refuse.
type xeno struct {
	mu     sync.Mutex
	status int
	media  string
	answer string
	asked  int
	hold   func(n int, r *http.Request) // called for the n-th request after its response has been decided; may be nil
}

func answers(answer string) *xeno {
	return &xeno{status: http.StatusOK, media: "application/json", answer: answer}
}

func (x *xeno) setAnswer(answer string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer = answer
}

func (x *xeno) calls() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.asked
}

func (x *xeno) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	x.asked++
	n, status, media, answer := x.asked, x.status, x.media, x.answer
	x.mu.Unlock()
	if fault := wrongWithQuestion(r); fault != "" {
		http.Error(w, fault, http.StatusTeapot)
		return
	}
	if x.hold != nil {
		x.hold(n, r)
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

func wrongWithQuestion(r *http.Request) string {
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/oauth/introspect" || r.URL.RawQuery != "":
		return "not a POST to the endpoint"
	case r.Header.Get("Authorization") != "Basic cnNfY29udGFjdHM6eG5vc19zM2NyZXQlMkIlMkYrd2l0aCslMjU0MStzcGFjZQ==":
		return "not the credentials, form-urlencoded"
	case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || len(r.Header["Idempotency-Key"]) > 0:
		return "not a plain form"
	case r.ParseForm() != nil || r.PostForm.Get("token") == "" || len(r.PostForm) != 2:
		return "not a token and a hint"
	}
	return ""
}

// RoundTrip lets a test run without a network, in a synctest bubble.
func (x *xeno) RoundTrip(r *http.Request) (*http.Response, error) {
	answered := make(chan *http.Response, 1)
	go func() {
		w := httptest.NewRecorder()
		x.ServeHTTP(w, r)
		answered <- w.Result()
	}()
	select {
	case response := <-answered:
		return response, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// troubles records the errors that OnTrouble got.
type troubles struct {
	mu       sync.Mutex
	reported []error
}

func (t *troubles) add(_ context.Context, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reported = append(t.reported, err)
}

func (t *troubles) all() []error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reported
}

// verifier returns a Verifier that calls x, and the errors that it reports. change, if given, edits the settings first.
func verifier(t testing.TB, x *xeno, change ...func(*bearer.Config)) (*bearer.Verifier, *troubles) {
	t.Helper()
	reported := &troubles{}
	c := bearer.Config{
		Endpoint: "http://xenoauth.test/oauth/introspect", ClientID: id, ClientSecret: secret,
		HTTPClient: &http.Client{Transport: x}, OnTrouble: reported.add,
	}
	for _, f := range change {
		f(&c)
	}
	v, err := bearer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v, reported
}

// serve sends one request through the middleware; passed reports whether the handler ran.
func serve(v *bearer.Verifier, r *http.Request, needs ...bearer.Requirement) (w *httptest.ResponseRecorder, passed bool) {
	w = httptest.NewRecorder()
	v.Require(needs...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed = true
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v", body, err)
	})).ServeHTTP(w, r)
	return w, passed
}

func with(authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/contacts", nil)
	r.Header["Authorization"] = authorization
	return r
}
