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

// Messages is API for endpoints that answer errors as docs/errors.md has them for integration tokens: {"message": "…"}.
func (t *Toolkit) Messages(h Handler) http.Handler { return messageHandler{t, h} }

type messageHandler struct {
	t *Toolkit
	h Handler
}

type jsonMessage struct {
	Message string `json:"message"`
}

func (m messageHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.t.apiHeaders(w.Header())
	if err := m.h(w, r); err != nil {
		m.refuse(w, r, err)
	}
}

func (m messageHandler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := classify(err)
	m.t.noteError(r, e, err)
	for name, values := range e.Header {
		w.Header()[name] = values
	}
	if err := WriteJSON(w, e.Status, jsonMessage{plainASCII(e.sentence())}); err != nil {
		m.t.log.DebugContext(r.Context(), "failed to write the response", "request", RequestID(r.Context()), "error", err)
	}
}

// ParseMembers reads the named members of a JSON object, which are strings; null is as good as absent, and other members
// may be anything. The content type may be any that names JSON, or be missing. Every fault is a 400.
func ParseMembers(w http.ResponseWriter, r *http.Request, names ...string) (Values, error) {
	if !saysJSON(r.Header) {
		return Values{}, BadRequest("", "send a JSON object, with Content-Type: application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return Values{}, &Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: "the body is larger than 64 KB or could not be read", Cause: err}
	}
	return readMembers(body, names)
}

// readMembers takes the named members out of an object.
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

// saysJSON says whether the headers let the body be JSON, as it is.
func saysJSON(h http.Header) bool {
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

// splitObject goes token by token, because a decoder into a map keeps the last of two equal names.
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
