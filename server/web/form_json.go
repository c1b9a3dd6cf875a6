package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// ParseFormOrJSON is ParseBody for endpoints that also accept a JSON object whose members are all strings. Repeated reports a
// repeated member like a repeated form field.
func ParseFormOrJSON(w http.ResponseWriter, r *http.Request) (Values, error) {
	media, body, err := readBody(w, r)
	if err != nil {
		return Values{}, err
	}
	switch media {
	case formType:
		return parseValues(string(body))
	case "application/json":
		return parseObject(body)
	}
	return Values{}, unsupportedMedia("send the parameters as " + formType + " or application/json")
}

// ParseJSON reads the named members of a JSON object as ParseMembers does. It refuses other content types with 415: a form of
// another site cannot send a JSON content type.
func ParseJSON(w http.ResponseWriter, r *http.Request, names ...string) (Values, error) {
	media, body, err := readBody(w, r)
	if err != nil {
		return Values{}, err
	}
	if media != "application/json" {
		return Values{}, unsupportedMedia("send a JSON object as application/json")
	}
	return readMembers(body, names)
}

// ParseMembers reads the named members of a JSON object, which must be strings. null counts as absent; other members are
// ignored. The content type may be missing, or any JSON type. Its errors are *Error with status 400.
func ParseMembers(w http.ResponseWriter, r *http.Request, names ...string) (Values, error) {
	if !mayBeJSON(r.Header) {
		return Values{}, BadRequest("", "send a JSON object, with Content-Type: application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return Values{}, &Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: "the body is larger than 64 KB or could not be read", Cause: err}
	}
	return readMembers(body, names)
}

// readMembers reads the named members of an object.
func readMembers(body []byte, names []string) (Values, error) {
	if !utf8.Valid(body) {
		return Values{}, BadRequest("", "the body is not UTF-8")
	}
	members, err := splitObject(body)
	if err != nil {
		return Values{}, BadRequest("", "the body must be a single JSON object without repeated members")
	}
	var v Values
	for _, name := range names {
		raw, given := members[name]
		if !given || string(raw) == "null" {
			continue
		}
		var text string
		if json.Unmarshal(raw, &text) != nil || !isJSONText(text) {
			return Values{}, BadRequest(name, "must be a string of UTF-8 text")
		}
		v.add(name, text)
	}
	return v, nil
}

// mayBeJSON reports whether the headers allow an uncompressed JSON body.
func mayBeJSON(h http.Header) bool {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false
	}
	if h.Get("Content-Type") == "" {
		return true
	}
	media, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	if charset, given := parameters["charset"]; given && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return false
	}
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

var errObject = errors.New("not one JSON object that names each member once")

// splitObject reads token by token, because decoding into a map keeps only the last of two equal names.
func splitObject(body []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, errObject
	}
	members := map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		name, isName := token.(string)
		if _, twice := members[name]; err != nil || !isName || twice || len(members) == maxParameters {
			return nil, errObject
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return nil, errObject
		}
		members[name] = raw
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errObject
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errObject
	}
	return members, nil
}

// parseObject reads one JSON object of strings token by token, because decoding into a map keeps only the last of two equal
// names.
func parseObject(body []byte) (Values, error) {
	malformed := BadRequest("", "the body must be a single JSON object")
	if !utf8.Valid(body) {
		return Values{}, BadRequest("", "the body is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return Values{}, malformed
	}
	var v Values
	for count := 0; decoder.More(); count++ {
		if count == maxParameters {
			return Values{}, BadRequest("", "there are too many parameters")
		}
		token, err := decoder.Token()
		name, isName := token.(string)
		if err != nil || !isName || !isJSONText(name) {
			return Values{}, malformed
		}
		token, err = decoder.Token()
		if err != nil {
			return Values{}, malformed
		}
		value, isString := token.(string)
		if !isString {
			return Values{}, parameterError(name, "must be a string")
		}
		if !isJSONText(value) {
			return Values{}, parameterError(name, "must be UTF-8 text without NUL characters")
		}
		v.add(name, value)
	}
	if _, err := decoder.Token(); err != nil {
		return Values{}, malformed
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Values{}, malformed
	}
	return v, nil
}

// isJSONText also refuses U+FFFD, into which the decoder turns half a surrogate pair.
func isJSONText(s string) bool { return isText(s) && !strings.ContainsRune(s, utf8.RuneError) }
