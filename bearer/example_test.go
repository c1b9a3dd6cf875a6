package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"xenoauth/bearer"
)

// xenoauth is a stand-in for the server. Its token of the user u1 has the scope contacts, and the permissions to list contacts
// and to fetch itself.
func xenoauth() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.FormValue("token") != "xnoa_good" {
			_, _ = io.WriteString(w, `{"active":false}`)
			return
		}
		_, _ = io.WriteString(w, `{"active":true,"token_type":"Bearer","sub":"u1","client_id":"app_1","scope":"contacts",
			"permissions":["contact:list","user:fetch:self"]}`)
	}))
}

// get sends a request to the API as an app does.
func get(api http.Handler, path, token string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("WWW-Authenticate"))))
}

func Example() {
	server := xenoauth()
	defer server.Close()

	tokens, err := bearer.New(bearer.Config{
		Endpoint:     server.URL + "/oauth/introspect", // or Issuer: "https://auth.example.com"
		ClientID:     "rs_contacts",
		ClientSecret: "the secret of this API",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	list := func(w http.ResponseWriter, r *http.Request) {
		id, _ := bearer.FromContext(r.Context())
		fmt.Fprintf(w, "the contacts of account %s", id.Account)
	}
	api := http.NewServeMux()
	api.Handle("GET /contacts", tokens.Require(bearer.Scope("contacts"))(http.HandlerFunc(list)))
	api.Handle("GET /faqs", tokens.Require(bearer.Scope("faqs"))(http.HandlerFunc(list)))

	get(api, "/contacts", "xnoa_good")
	get(api, "/contacts", "xnoa_revoked")
	get(api, "/contacts", "")
	get(api, "/faqs", "xnoa_good")
	// Output:
	// 200
	// 401 Bearer realm="xenoauth", error="invalid_token"
	// 401 Bearer realm="xenoauth"
	// 403 Bearer realm="xenoauth", error="insufficient_scope", scope="faqs"
}

func ExampleSelf() {
	server := xenoauth()
	defer server.Close()
	tokens, err := bearer.New(bearer.Config{Endpoint: server.URL + "/oauth/introspect", ClientID: "rs_users", ClientSecret: "secret"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	owner := func(r *http.Request) string { return r.PathValue("id") }
	show := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	api := http.NewServeMux()
	api.Handle("GET /users/{id}", tokens.Require(bearer.Self(owner, "user:fetch:self"))(show))

	get(api, "/users/u1", "xnoa_good")
	get(api, "/users/u2", "xnoa_good")
	// Output:
	// 200
	// 403 Bearer realm="xenoauth", error="insufficient_scope"
}

func ExampleAnyOf() {
	server := xenoauth()
	defer server.Close()
	tokens, err := bearer.New(bearer.Config{Endpoint: server.URL + "/oauth/introspect", ClientID: "rs_contacts", ClientSecret: "secret"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	list := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	api := tokens.Require(bearer.AnyOf(bearer.Scope("agent"), bearer.Permission("contact:list")))(list)

	get(api, "/contacts", "xnoa_good")
	// Output: 200
}

func ExampleVerifier_Verify() {
	server := xenoauth()
	defer server.Close()
	tokens, err := bearer.New(bearer.Config{Endpoint: server.URL + "/oauth/introspect", ClientID: "rs_chat", ClientSecret: "secret"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	// Verify is for a token that did not come with an HTTP request, such as in the first message of a connection.
	for _, token := range []string{"xnoa_good", "xnoa_revoked"} {
		id, err := tokens.Verify(context.Background(), token)
		switch {
		case errors.Is(err, bearer.ErrInvalid):
			fmt.Println("refuse")
		case err != nil:
			fmt.Println("try again later")
		default:
			fmt.Println(id.Subject, id.Permissions)
		}
	}
	// Output:
	// u1 [contact:list user:fetch:self]
	// refuse
}
