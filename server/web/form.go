package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"xenoauth/internal/directory"
)

const (
	maxBody       = 64 << 10
	maxParameters = 1000
	formType      = "application/x-www-form-urlencoded"
)

// Values are the parameters of one request, decoded: UTF-8 without NUL. The zero Values has none.
type Values struct {
	values map[string][]string
	order  []string
}

// Get returns the first value of a name, or "" if it is absent or empty (RFC 6749 §3.1 treats the two alike).
func (v Values) Get(name string) string {
	if all := v.values[name]; len(all) > 0 {
		return all[0]
	}
	return ""
}

// All returns every value of a name in the order sent, empty ones included. The caller must not change it.
func (v Values) All(name string) []string { return v.values[name] }

// Repeated returns the names that were sent more than once, whatever their values, in order of appearance.
func (v Values) Repeated() []string {
	var names []string
	for _, name := range v.order {
		if len(v.values[name]) > 1 {
			names = append(names, name)
		}
	}
	return names
}

// Names returns the names that were sent, in order of appearance. The caller must not change it.
func (v Values) Names() []string { return v.order }

// OneValue returns a 400 that names the first repeated parameter. Names in mayRepeat are exempt.
func (v Values) OneValue(mayRepeat ...string) error {
	for _, name := range v.Repeated() {
		if !slices.Contains(mayRepeat, name) {
			return parameterError(name, "is given more than once")
		}
	}
	return nil
}

// Encode writes the values as a query, in the order in which they were sent.
func (v Values) Encode() string {
	var b strings.Builder
	for _, name := range v.order {
		for _, value := range v.values[name] {
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			b.WriteString(url.QueryEscape(name) + "=" + url.QueryEscape(value))
		}
	}
	return b.String()
}

func (v *Values) add(name, value string) {
	if v.values == nil {
		v.values = make(map[string][]string)
	}
	if _, known := v.values[name]; !known {
		v.order = append(v.order, name)
	}
	v.values[name] = append(v.values[name], value)
}

// ParseQuery reads the parameters of the URL only. Its errors are *Error with status 400.
func ParseQuery(r *http.Request) (Values, error) { return parseValues(r.URL.RawQuery) }

// ParseBody reads the parameters of a form body only. Its errors are *Error: 415 for another content type, 413 above 64 KB,
// 400 for a malformed body.
func ParseBody(w http.ResponseWriter, r *http.Request) (Values, error) {
	media, body, err := readBody(w, r)
	if err != nil {
		return Values{}, err
	}
	if media != formType {
		return Values{}, unsupportedMedia("send the parameters as " + formType)
	}
	return parseValues(string(body))
}

// ParseForm is ParseBody for a form of our own pages: only fields in mayRepeat may repeat.
func ParseForm(w http.ResponseWriter, r *http.Request, mayRepeat ...string) (Values, error) {
	values, err := ParseBody(w, r)
	if err != nil {
		return Values{}, err
	}
	return values, values.OneValue(mayRepeat...)
}

// FieldErrors returns the errors of a form's fields, to show beside them, or err itself if it is of another kind.
func FieldErrors(err error) (directory.FieldErrors, error) {
	var faults directory.FieldErrors
	if errors.As(err, &faults) {
		return faults, nil
	}
	return nil, err
}

// readBody returns the media type, in lower case and without parameters, and the body of at most maxBody bytes.
func readBody(w http.ResponseWriter, r *http.Request) (string, []byte, error) {
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return "", nil, unsupportedMedia("the Content-Type header is missing or malformed")
	}
	if charset, given := parameters["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return "", nil, unsupportedMedia("the charset must be UTF-8")
	}
	if r.Header.Get("Content-Encoding") != "" {
		return "", nil, unsupportedMedia("the body must not be compressed")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return "", nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Description: "the body is larger than 64 KB"}
	case err != nil:
		return "", nil, &Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: "the body could not be read", Cause: err}
	}
	return media, body, nil
}

// parseValues is stricter than url.ParseQuery: malformed pairs are errors, and names and values must be text.
func parseValues(raw string) (Values, error) {
	var v Values
	for count := 0; raw != ""; {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		if count++; count > maxParameters {
			return Values{}, BadRequest("", "there are too many parameters")
		}
		name, value, err := parsePair(pair)
		if err != nil {
			return Values{}, err
		}
		v.add(name, value)
	}
	return v, nil
}

func parsePair(pair string) (string, string, error) {
	rawName, rawValue, _ := strings.Cut(pair, "=")
	name, err := url.QueryUnescape(rawName)
	if err != nil || !isText(name) {
		return "", "", BadRequest("", "a parameter name is malformed")
	}
	// Some parsers split at a semicolon: what we read as one parameter would be two for them.
	if strings.Contains(pair, ";") {
		return "", "", parameterError(name, "contains a semicolon that is not percent-encoded")
	}
	value, err := url.QueryUnescape(rawValue)
	if err != nil {
		return "", "", parameterError(name, "is not percent-encoded correctly")
	}
	if !isText(value) {
		return "", "", parameterError(name, "must be UTF-8 text without NUL characters")
	}
	return name, value, nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func unsupportedMedia(description string) *Error {
	return &Error{Status: http.StatusUnsupportedMediaType, Code: "invalid_request", Description: description}
}
