package harness

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"xenoauth/internal/secret"
)

// SecretScanner finds secrets in text, in every form in which they may have been written.
type SecretScanner struct {
	forms map[string]string // by form: the secret's name
}

// Add adds a secret by name.
func (c *SecretScanner) Add(name, secret string) {
	if len(secret) < 8 {
		panic("secret " + name + " is too short to be told from chance")
	}
	if c.forms == nil {
		c.forms = map[string]string{}
	}
	quoted, _ := json.Marshal(secret) // a string always encodes
	for how, form := range map[string]string{
		"":               secret,
		", in a URL":     url.QueryEscape(secret),
		", base64":       base64.RawStdEncoding.EncodeToString([]byte(secret)),
		", base64url":    base64.RawURLEncoding.EncodeToString([]byte(secret)),
		", hexadecimal":  hex.EncodeToString([]byte(secret)),
		", HEXADECIMAL":  strings.ToUpper(hex.EncodeToString([]byte(secret))),
		", JSON":         strings.Trim(string(quoted), `"`),
		", HTML":         html.EscapeString(secret),
		", Go":           strings.Trim(strconv.Quote(secret), `"`),
		", percent-only": url.PathEscape(secret),
	} {
		if _, known := c.forms[form]; !known || how == "" {
			c.forms[form] = name + how
		}
	}
}

// AddCredential adds a credential and its secret part alone: the lookup id before it is not secret.
func (c *SecretScanner) AddCredential(name, text string) {
	c.Add(name, text)
	if _, ok := (secret.Format{}).Parse(text); ok {
		body := text[:len(text)-6] // without the checksum
		c.Add("secret part of "+name, body[len(body)-43:])
	}
}

// AddCookie adds a session cookie and the random id in it.
func (c *SecretScanner) AddCookie(name, value string) {
	c.Add(name, value)
	id, err := sessionID(value)
	if err != nil {
		panic("secret " + name + ": " + err.Error())
	}
	c.Add("id in "+name, string(id))
}

// sessionID reads the random id out of a session cookie: base64 of date|base64(id)|mac.
func sessionID(cookie string) ([]byte, error) {
	inner, err := base64.URLEncoding.DecodeString(cookie)
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(inner), "|")
	id, err := base64.URLEncoding.DecodeString(rest[:min(len(rest), base64.URLEncoding.EncodedLen(32))])
	if err != nil || len(id) != 32 {
		return nil, fmt.Errorf("no id in the session cookie: %d bytes, %w", len(id), err)
	}
	return id, nil
}

// Len is the number of forms.
func (c *SecretScanner) Len() int { return len(c.forms) }

// Find names the secrets that occur in text.
func (c *SecretScanner) Find(text string) []string {
	var found []string
	for form, name := range c.forms {
		if strings.Contains(text, form) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}
