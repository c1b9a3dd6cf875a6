package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/internal/ratelimit"
	"xenoauth/internal/secret"
	"xenoauth/internal/verify"
	"xenoauth/store"
)

var errNoPage = errors.New("web: sessions exist only under Page and Private")

// Error is a response that is not a success. Description is shown to the caller: it names the problem and never repeats a
// secret. Cause is for the log only.
type Error struct {
	Status      int
	Code        string // of the JSON response; empty: by status
	Title       string // of the page; empty: by status
	Description string
	Parameter   string      // the parameter that was wrong, if one was
	Header      http.Header // further headers of the response
	Links       []Link      // links on the page, in addition to the front page
	Cause       error
	Warn        bool // log it as a warning: the operator has to correct it
}

// Link leads to a path of this server.
type Link struct {
	Text string
	Path string
}

// Error is for the log.
func (e *Error) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, e.sentence()))
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// sentence is the description after the name of the parameter.
func (e *Error) sentence() string {
	if e.Parameter == "" {
		return e.Description
	}
	return "parameter " + e.Parameter + ": " + e.Description
}

// BadRequest is a 400 that names the parameter; empty: none.
func BadRequest(parameter, description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", Parameter: parameter, Description: description}
}

// NotFound is the 404 of everything that does not exist, and of everything that the visitor has no access to.
func NotFound() *Error {
	return &Error{Status: http.StatusNotFound, Description: "There is nothing at this address, or you do not have access to it."}
}

// Forbidden is a 403.
func Forbidden(description string) *Error {
	return &Error{Status: http.StatusForbidden, Description: description}
}

func foreignOrigin(cause error) *Error {
	return &Error{Status: http.StatusForbidden, Title: "This request came from another site", Cause: cause,
		Description: "A form on another website tried to act as you, so nothing was done. Open the page here and try again."}
}

// statusText is the default code, title and description of a response.
type statusText struct {
	code, title, description string
}

var statusTexts = map[int]statusText{
	http.StatusBadRequest:            {"invalid_request", "Bad request", "Something in the request is missing or malformed."},
	http.StatusUnauthorized:          {"invalid_token", "You are not logged in", "Log in and try again."},
	http.StatusForbidden:             {"access_denied", "Not allowed", "You do not have permission to do this."},
	http.StatusNotFound:              {"not_found", "Page not found", "There is nothing at this address, or you do not have access to it."},
	http.StatusMethodNotAllowed:      {"invalid_request", "Method not allowed", "This address does not accept this method."},
	http.StatusConflict:              {"conflict", "This page is out of date", "Something changed after this page was loaded, so nothing was done. Go back, reload the page and try again."},
	http.StatusRequestEntityTooLarge: {"invalid_request", "Request too large", "The request is larger than 64 KB."},
	http.StatusUnsupportedMediaType:  {"invalid_request", "Unsupported content type", "This address does not accept the request's content type."},
	http.StatusUnprocessableEntity:   {"invalid_request", "Invalid values", "Some of the values are not valid."},
	http.StatusTooManyRequests:       {"temporarily_unavailable", "Too many attempts", "Wait a moment and try again."},
	http.StatusInternalServerError:   {"server_error", "Something went wrong", "The error is on our side and has been logged. Please try again."},
	http.StatusServiceUnavailable:    {"temporarily_unavailable", "Temporarily unavailable", "The service cannot reach its database right now. Nothing is lost; please try again in a few seconds."},
}

// protocolStatus is the status of the codes that are not 400 (RFC 6749 §5.2, RFC 6750 §3.1).
var protocolStatus = map[string]int{
	"invalid_client":          http.StatusUnauthorized,
	"invalid_token":           http.StatusUnauthorized,
	"insufficient_scope":      http.StatusForbidden,
	"access_denied":           http.StatusForbidden,
	"slow_down":               http.StatusTooManyRequests,
	"server_error":            http.StatusInternalServerError,
	"temporarily_unavailable": http.StatusServiceUnavailable,
}

// classify is the one table from errors to responses. The result is a copy with Status, Code, Title, Description and Header
// filled in.
func classify(err error) Error {
	e := translate(err)
	fallback, known := statusTexts[e.Status]
	if !known {
		e.Status, fallback = http.StatusInternalServerError, statusTexts[http.StatusInternalServerError]
	}
	e.Code = first(e.Code, fallback.code)
	e.Title = first(e.Title, fallback.title)
	e.Description = first(e.Description, fallback.description)
	e.Header = e.Header.Clone()
	if e.Header == nil {
		e.Header = make(http.Header)
	}
	if e.Status == http.StatusServiceUnavailable && e.Header.Get("Retry-After") == "" {
		e.Header.Set("Retry-After", "2")
	}
	if e.Header.Get("WWW-Authenticate") == "" {
		switch {
		case e.Code == "invalid_client" && e.Status == http.StatusUnauthorized:
			e.Header.Set("WWW-Authenticate", `Basic realm="xenoauth"`)
		case e.Code == "invalid_token" && e.Status == http.StatusUnauthorized, e.Code == "insufficient_scope":
			e.Header.Set("WWW-Authenticate", `Bearer realm="xenoauth", error="`+e.Code+`"`)
		case e.Status == http.StatusUnauthorized: // every 401 has a challenge (RFC 9110 §11.6.1)
			e.Header.Set("WWW-Authenticate", `Bearer realm="xenoauth"`)
		}
	}
	return e
}

func translate(err error) Error {
	var ours *Error
	var protocol *issuer.Error
	var fields directory.FieldErrors
	limited := AsLimit(err)
	// Errors of the database come first: whatever they were wrapped in on the way up, they are not the caller's fault.
	switch {
	case errors.Is(err, secret.ErrQueueTimeout), errors.Is(err, ratelimit.ErrTimeout):
		return Error{Status: http.StatusServiceUnavailable, Description: "Too many people are logging in right now. Please try again in a few seconds.", Cause: err}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Error{Status: http.StatusServiceUnavailable, Cause: err}
	case limited != nil:
		return Error{Status: http.StatusTooManyRequests, Description: limited.Sentence(), Cause: err,
			Header: http.Header{"Retry-After": {strconv.Itoa(limited.seconds())}}}
	case errors.As(err, &ours):
		return *ours
	case errors.As(err, &protocol):
		return fromProtocol(protocol)
	case errors.Is(err, verify.ErrExpired):
		return *ExpiredToken()
	case errors.Is(err, verify.ErrInvalid):
		return *InvalidToken()
	case errors.As(err, &fields):
		return Error{Status: http.StatusUnprocessableEntity, Description: fields.Error(), Cause: err}
	case errors.Is(err, store.ErrNotFound):
		return Error{Status: http.StatusNotFound, Cause: err}
	case errors.Is(err, store.ErrInvalid):
		return Error{Status: http.StatusBadRequest, Cause: err}
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrConsumed), errors.Is(err, store.ErrEnded), errors.Is(err, store.ErrLimit):
		return Error{Status: http.StatusConflict, Cause: err}
	}
	return Error{Status: http.StatusInternalServerError, Cause: err}
}

func fromProtocol(p *issuer.Error) Error {
	status := p.Status
	if status == 0 {
		status = protocolStatus[p.Code]
	}
	if status == 0 {
		status = http.StatusBadRequest
	}
	return Error{Status: status, Code: p.Code, Description: p.Description, Cause: p.Cause}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// jsonError is the body of every JSON error (RFC 6749 §5.2).
type jsonError struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func (t *Toolkit) apiError(w http.ResponseWriter, r *http.Request, err error) {
	e := classify(err)
	t.logError(r, e, err)
	for name, values := range e.Header {
		w.Header()[name] = values
	}
	if err := WriteJSON(w, e.Status, jsonError{e.Code, plainASCII(e.sentence())}); err != nil {
		t.log.DebugContext(r.Context(), "failed to write the response", "request", RequestID(r.Context()), "error", err)
	}
}

func (t *Toolkit) pageError(w http.ResponseWriter, r *http.Request, err error) {
	e := classify(err)
	t.logError(r, e, err)
	for name, values := range e.Header {
		w.Header()[name] = values
	}
	page := ErrorPage{Status: e.Status, Title: e.Title, Description: strings.TrimSuffix(e.Description, "."), Parameter: e.Parameter, Links: e.Links}
	if first, size := utf8.DecodeRuneInString(page.Description); page.Parameter == "" && size > 0 {
		page.Description = string(unicode.ToUpper(first)) + page.Description[size:]
	}
	if e.Status >= http.StatusInternalServerError {
		page.RequestID = RequestID(r.Context())
	}
	// The page shows nothing about the visitor: a link from an attacker must not reveal whether its reader is logged in.
	if err := t.write(w, e.Status, "error", layout{Page: page}); err != nil {
		t.log.ErrorContext(r.Context(), "failed to render the error page", "request", RequestID(r.Context()), "error", err)
		http.Error(w, e.Title, e.Status)
	}
}

// logError logs an error once. No line contains the query, which may hold a code or a token.
func (t *Toolkit) logError(r *http.Request, e Error, err error) {
	line := t.log.DebugContext
	switch {
	case errors.Is(err, context.Canceled): // the client closed the connection
	case errors.Is(err, store.ErrReadOnly): // the store logs that once, not for each request
	case e.Status == http.StatusServiceUnavailable, e.Warn:
		line = t.log.WarnContext
	case e.Status >= http.StatusInternalServerError:
		line = t.log.ErrorContext
	}
	line(r.Context(), "request refused", "request", RequestID(r.Context()), "method", r.Method, "route", r.Pattern, "status", e.Status, "error", oneLine(err.Error()))
}

// oneLine escapes characters that the handlers of package slog keep, although they can end a line, start an escape sequence or
// change the direction of text on the operator's terminal (docs/battery.md, G2).
func oneLine(s string) string {
	var b strings.Builder
	for _, c := range strings.ToValidUTF8(s, "?") {
		if 0x7f <= c && c < 0xa0 || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) {
			fmt.Fprintf(&b, "\\u%04x", c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// plainASCII keeps what RFC 6749 §5.2 allows in error_description: printable ASCII without quote and backslash.
func plainASCII(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"' || c == '`' || c == '“' || c == '”' || c == '‘' || c == '’':
			return '\''
		case c == '–' || c == '—':
			return '-'
		case c < ' ' || c > '~' || c == '\\':
			return '?'
		}
		return c
	}, s)
}
