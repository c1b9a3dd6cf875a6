package web

import (
	"xenoauth/internal/scope"
	"xenoauth/store"
)

// ErrorPage is the data of error.html.
type ErrorPage struct {
	Status      int
	Title       string
	Description string
	Parameter   string // what was wrong, if one parameter was
	Links       []Link
	RequestID   string // to quote when asking for help; only for faults of ours
}

// ConsentPage is the data of consent.html.
type ConsentPage struct {
	App           ConsentApp
	Scopes        []scope.Grant    // the requested scopes, and those that they imply; with one account, as its role leaves them
	Held          []scope.Grant    // the scopes that it has already; then Scopes are new
	Known         bool             // beside Held: the app has the user's name and e-mail address already
	Accounts      []ConsentAccount // of which one is chosen; empty if the user has none that is active
	RequestID     string           // of the stored request that Allow and Deny decide
	RedirectHost  string           // where the browser goes next, as people know it: app.test; "" for a native app
	RedirectShown string           // the full redirect URI, for those who look closer; "" for a native app
	Native        string           // the scheme that opens a native app, and all that is known of where the browser goes
	Loopback      bool             // the browser goes to a program on this computer
	Allowed       []string         // names of the accounts on which all of it is allowed already
	Reconnect     bool             // it is allowed on every account that could be chosen
	NewPlace      bool             // the app was allowed before, but never to send the browser to this host
	Changed       bool             // the app was changed since the page was shown first
	User          store.User
}

// ConsentApp is who asks.
type ConsentApp struct {
	Name         string
	HomepageHost string // "" unless an operator vouches for the app
	Owner        string // name of the account that the app belongs to; its own word unless the app is verified
	Description  string
	Initials     string // in place of a logo
	Verified     bool
}

// ConsentAccount is an account that the app may be installed on.
type ConsentAccount struct {
	ID       string
	Name     string
	Selected bool
	Role     string        // the user's there, within a sentence: "an agent"
	Cut      []scope.Grant // those asked for of which the role leaves only a part, or nothing
	Nothing  bool          // the role leaves nothing of all that is asked for
}
