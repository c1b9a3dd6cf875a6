package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/server/web"
	"xenoauth/store"
)

// linkError is the page for a request with an unknown app or redirect URI. It does not depend on the session. A database error
// is returned unchanged.
func linkError(err error) error {
	page := &web.Error{Status: http.StatusBadRequest, Code: issuer.InvalidRequest, Title: "This link does not work", Cause: err}
	var parse *web.Error
	switch {
	case errors.Is(err, directory.ErrAppNotLive):
		page.Parameter = "client_id"
		page.Description = "does not match any active app. If you develop this app, check the client ID in the developer portal."
	case errors.Is(err, directory.ErrRedirectMissing):
		page.Parameter = "redirect_uri"
		page.Description = "is missing. The app has several redirect URIs, so the request must name one."
	case errors.Is(err, directory.ErrRedirectMismatch):
		page.Parameter = "redirect_uri"
		page.Description = "is not registered for this app. It must exactly match one in the developer portal; only the port of a loopback address may differ."
	case errors.Is(err, directory.ErrRedirectRefused):
		page.Parameter = "redirect_uri"
		page.Description = "is registered but no longer allowed: it is on the host of this service itself, or its scheme could be mistaken for a website. If you develop this app, register another one in the developer portal."
	case errors.As(err, &parse) && parse.Status < http.StatusInternalServerError:
		page.Parameter, page.Description, page.Status = parse.Parameter, parse.Description, parse.Status
	default:
		return fmt.Errorf("read authorization request: %w", err)
	}
	return page
}

// answerError is the page for an answer that cannot be accepted.
func answerError(err error) error {
	var over *directory.RequestEndedError
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return err
	case errors.As(err, &over):
		return requestOverPage(over)
	case errors.Is(err, directory.ErrRequestForeign):
		return &web.Error{Status: http.StatusForbidden, Title: "This page belongs to another log-in", Cause: err,
			Description: "It was shown to a different user, so nothing was allowed or denied. Go back to the app and start again."}
	case errors.Is(err, directory.ErrRequestUnknown):
		return &web.Error{Status: http.StatusBadRequest, Title: "This request has expired", Cause: err,
			Description: "It was already answered, or it waited too long. Go back to the app and start again."}
	case errors.Is(err, directory.ErrNotMember):
		return &web.Error{Status: http.StatusBadRequest, Parameter: "account", Description: "must be one of your accounts. Go back and choose one.", Cause: err}
	}
	return err
}

// requestOverPage names the app, so that the user knows where to continue.
func requestOverPage(over *directory.RequestEndedError) error {
	page := &web.Error{Status: http.StatusBadRequest, Cause: over, Links: []web.Link{{Text: "Installed apps", Path: "/account/apps"}}}
	where := "“" + over.App + "”"
	if host := hostOf(over.Address); strings.HasPrefix(over.Address, "https:") && host != "" {
		where += " (" + host + ")"
	}
	if over.Answered {
		page.Title = "You already answered this request"
		page.Description = "Go back to " + where + ". If it is not connected, start again there."
		return page
	}
	page.Title = "This request has expired"
	page.Description = "Nothing was allowed or denied. Go back to " + where + " and start again."
	return page
}
