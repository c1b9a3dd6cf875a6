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
	Parameter   string // the parameter that was wrong, if there is one
	Links       []Link
	RequestID   string // to quote when asking for help; only for server errors
}

// ConsentPage is the data of consent.html.
type ConsentPage struct {
	App           ConsentApp
	Scopes        []scope.Grant    // the requested scopes and those that they imply; with one account, reduced to the user's role
	Held          []scope.Grant    // scopes that the app has already; then Scopes are the new ones
	Known         bool             // with Held: the app already has the user's name and e-mail address
	Accounts      []ConsentAccount // to choose from; empty if the user has no active account
	RequestID     string           // of the stored request that Allow and Deny decide
	RedirectHost  string           // where the browser goes next, such as app.test; empty for a native app
	RedirectShown string           // the full redirect URI; empty for a native app
	Native        string           // the scheme that opens a native app; all that is known about where the browser goes
	Loopback      bool             // the browser goes to a program on this computer
	Allowed       []string         // names of the accounts that already allow all of Scopes
	Reconnect     bool             // every account that can be chosen allows them
	NewPlace      bool             // the app was allowed before, but not with this host
	Changed       bool             // the app was changed since the page was first shown
	User          store.User
}

// ConsentApp is the app that asks.
type ConsentApp struct {
	Name         string
	HomepageHost string // empty unless the app is verified
	Owner        string // name of the account that the app belongs to; a claim unless the app is verified
	Description  string
	Initials     string // in place of a logo
	Verified     bool
}

// ConsentAccount is an account that the app may be installed on.
type ConsentAccount struct {
	ID       string
	Name     string
	Selected bool
	Role     string        // the user's role, for use in a sentence: "an agent"
	Cut      []scope.Grant // requested scopes that the role allows only in part, or not at all
	Nothing  bool          // the role allows none of the requested scopes
}
