// Command go is a small API protected by Xenoauth. It reads XENOAUTH_ISSUER, CLIENT_ID, CLIENT_SECRET and PORT from the
// environment.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"xenoauth/bearer"
)

func main() {
	tokens, err := bearer.New(bearer.Config{
		Issuer:       os.Getenv("XENOAUTH_ISSUER"),
		Endpoint:     os.Getenv("ENDPOINT"), // only if the API reaches Xenoauth at another address
		ClientID:     os.Getenv("CLIENT_ID"),
		ClientSecret: os.Getenv("CLIENT_SECRET"),
		Audience:     os.Getenv("AUDIENCE"), // the resource that tokens must be for (RFC 8707); empty for none
	})
	if err != nil {
		log.Fatal(err)
	}
	contacts := tokens.Require(bearer.Scope("contacts"))
	conversations := tokens.Require(bearer.Permission("conversation:list"))
	agents := tokens.Require(bearer.Scope("agent")) // a role; higher roles include it
	oneself := tokens.Require(bearer.Self(func(r *http.Request) string { return r.PathValue("id") }, "user:fetch:self"))

	mux := http.NewServeMux()
	mux.Handle("GET /contacts", contacts(http.HandlerFunc(show)))
	mux.Handle("GET /conversations", conversations(http.HandlerFunc(show)))
	mux.Handle("GET /desk", agents(http.HandlerFunc(show)))
	mux.Handle("GET /users/{id}", oneself(http.HandlerFunc(show)))

	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, mux))
}

// show returns the identity of the request.
func show(w http.ResponseWriter, r *http.Request) {
	id, _ := bearer.FromContext(r.Context())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"sub": id.Subject, "account": id.Account})
}
