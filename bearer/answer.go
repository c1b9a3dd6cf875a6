package bearer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// maxAnswer is the maximum size of a response in bytes; a real one has one or two kilobytes.
const maxAnswer = 64 << 10

// answer is an introspection response.
type answer struct {
	active    bool
	tokenType string
	issuer    string
	identity  Identity
}

// readAnswer accepts only a 200 with a JSON object (RFC 7662). Its errors do not quote the body.
func readAnswer(status int, contentType string, body []byte) (answer, error) {
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case status == http.StatusUnauthorized:
		return answer{}, errors.New("the introspection endpoint rejected the credentials of this API (401): check ClientID and ClientSecret")
	case status != http.StatusOK:
		return answer{}, fmt.Errorf("the introspection endpoint returned %d", status)
	case err != nil || media != "application/json":
		return answer{}, errors.New("the introspection endpoint did not return JSON")
	case len(body) > maxAnswer:
		return answer{}, errors.New("the response is too long")
	}
	return decode(body)
}

// decode reads the object strictly: no repeated names, no data after it, each member of its type. A null member counts as
// absent.
func decode(body []byte) (answer, error) {
	members, err := readMembers(body)
	if err != nil {
		return answer{}, err
	}
	var a answer
	var active *bool
	var scope string
	var issuedAt, expiresAt int64
	var audience oneOrMore
	id := &a.identity
	for name, into := range map[string]any{
		"active": &active, "token_type": &a.tokenType, "iss": &a.issuer, "scope": &scope, "sub": &id.Subject, "username": &id.Username,
		"account": &id.Account, "bot": &id.Bot, "client_id": &id.ClientID, "installation": &id.Installation,
		"permissions": &id.Permissions, "aud": &audience, "iat": &issuedAt, "exp": &expiresAt,
	} {
		if raw, there := members[name]; there && json.Unmarshal(raw, into) != nil {
			return answer{}, fmt.Errorf("member %s of the response has the wrong type", name)
		}
	}
	if active == nil {
		return answer{}, errors.New("the response does not state whether the token is active")
	}
	if !*active {
		return answer{}, nil
	}
	a.active = true
	id.Scopes, id.Audience = strings.Fields(scope), audience
	if issuedAt != 0 {
		id.IssuedAt = time.Unix(issuedAt, 0)
	}
	if _, expires := members["exp"]; expires {
		id.ExpiresAt = time.Unix(expiresAt, 0)
	}
	return a, nil
}

// readMembers splits an object into its members. Decoding into a struct would accept "Active" for "active", and the last of
// two members with one name.
func readMembers(body []byte) (map[string]json.RawMessage, error) {
	malformed := errors.New("the response is not a single JSON object")
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, malformed
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, malformed
		}
		text, ok := name.(string)
		var raw json.RawMessage
		if !ok || d.Decode(&raw) != nil {
			return nil, malformed
		}
		if _, twice := members[text]; twice {
			return nil, errors.New("a member of the response is repeated")
		}
		if !bytes.Equal(raw, []byte("null")) {
			members[text] = raw
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, malformed
	}
	return members, nil
}

// oneOrMore is a string or a list of them (RFC 7519 §4.1.3).
type oneOrMore []string

// UnmarshalJSON reads both forms.
func (o *oneOrMore) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(o))
}
