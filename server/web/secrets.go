package web

import (
	"strings"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// ListedSecret is a secret as a page may show it.
type ListedSecret struct {
	ID         string
	Hint       string // the last characters
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time
}

// SecretList is the list of the active secrets of one app, key or bot, newest first.
type SecretList []ListedSecret

// ListSecrets makes a list for a page.
func ListSecrets(secrets []store.Secret) SecretList {
	list := make(SecretList, len(secrets))
	for i, s := range secrets {
		list[i] = ListedSecret{ID: secret.ID(s.ID).String(), Hint: s.Hint, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt, LastUsedAt: s.LastUsedAt}
	}
	return list
}

// Find returns the secret with this id.
func (l SecretList) Find(id string) (ListedSecret, bool) {
	for _, s := range l {
		if s.ID == id {
			return s, true
		}
	}
	return ListedSecret{}, false
}

// AfterRotation describes when the listed secrets end after another one is created. sentence states that they end at
// until (zero: never); a secret that expires earlier still does.
func (l SecretList) AfterRotation(what, sentence string, until time.Time) string {
	if len(l) == 0 {
		return ""
	}
	end := l[0].ExpiresAt // there are several only if all end now
	if end.IsZero() || !until.IsZero() && !until.After(end) {
		return sentence
	}
	return "The previous " + what + " still expires on " + end.UTC().Format("2 January 2006, 15:04 UTC") + "."
}

// Unknown reports whether a hint has question marks, which the page then explains.
func (l SecretList) Unknown() bool {
	for _, s := range l {
		if strings.Contains(s.Hint, "?") {
			return true
		}
	}
	return false
}
