package portal

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/server/web"
	"xenoauth/store"
)

const (
	shownRows = 3
	maxRows   = 10 // more are refused by the rules
)

// formPage is the data of app_form.html, for a new app (ID "") and for one that is edited.
type formPage struct {
	ID        string
	Heading   string // the app's name as stored
	Version   int64  // of the app as it was when the form was filled in
	Conflict  bool   // the app was changed in between
	Verified  bool   // the stored app is verified
	Form      directory.AppForm
	Accounts  []account // that a new app may belong to
	AccountID string
	Scopes    []scopeChoice
	Errors    directory.FieldErrors

	TokenLimit int // 0: none
}

// account is an account that an app can belong to.
type account struct {
	ID   string
	Name string
}

// scopeChoice is one check box.
type scopeChoice struct {
	Name        string
	Title       string
	Description string
	Chosen      bool
}

// ShowNewApp shows the empty form.
func (h *Handler) ShowNewApp(w http.ResponseWriter, r *http.Request) error {
	return h.renderForm(w, r, http.StatusOK, formPage{Form: directory.AppForm{Confidential: true}})
}

// CreateApp registers an app, and redirects to the page that shows its secret once.
func (h *Handler) CreateApp(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r, "redirect_uris", "scopes")
	if err != nil {
		return err
	}
	page := formPage{Form: parseForm(values), AccountID: values.Get("account")}
	page.Form.Confidential = values.Get("type") != "public"
	if values.Get("add_row") != "" {
		return h.renderForm(w, r, http.StatusOK, withRow(page))
	}
	accounts, err := h.accounts(r)
	if err != nil {
		return err
	}
	if page.AccountID == "" && len(accounts) == 1 {
		page.AccountID = accounts[0].ID
	}
	if fault := accountFault(accounts, page.AccountID); fault != "" {
		page.Errors = directory.FieldErrors{"account": fault}
		return h.renderForm(w, r, http.StatusUnprocessableEntity, page)
	}
	err = h.web.Once(w, r, values, created, func(r *http.Request, by store.Principal) (*web.Shown, error) {
		app, credential, err := h.directory.CreateApp(r.Context(), by, page.AccountID, page.Form)
		if err != nil {
			return nil, err
		}
		shown := &web.Shown{ID: app.ID, New: true}
		if credential != nil {
			shown.Secret = credential.Reveal()
		}
		return shown, nil
	})
	if err != nil {
		if page.Errors, err = web.FieldErrors(err); err != nil {
			return err
		}
		return h.renderForm(w, r, http.StatusUnprocessableEntity, page)
	}
	return nil
}

// accountFault returns why no app can be registered in the account, whose state may have changed since the form was shown.
func accountFault(accounts []account, id string) string {
	switch {
	case len(accounts) == 0:
		return "You are not an admin of any active account, so no account could own the app. Ask an admin of your account."
	case !slices.ContainsFunc(accounts, func(a account) bool { return a.ID == id }):
		return "Choose an account that you are an admin of."
	}
	return ""
}

// ShowEditApp shows the form with the stored values.
func (h *Handler) ShowEditApp(w http.ResponseWriter, r *http.Request) error {
	a, err := h.app(r)
	if err != nil {
		return err
	}
	return h.renderForm(w, r, http.StatusOK, formPage{ID: a.ID, Heading: a.Name, Version: a.Version, Verified: !a.VerifiedAt.IsZero(), Form: directory.AppForm{
		Name: a.Name, Description: a.Description, Homepage: a.Homepage, LogoURL: a.LogoURL, RedirectURIs: a.RedirectURIs,
		Scopes: a.Scopes.Slice(), Confidential: a.Confidential, Expiring: a.Expiring, PKCERequired: a.PKCERequired,
	}})
}

// UpdateApp saves an edited app, unless the app was changed since the form was shown.
func (h *Handler) UpdateApp(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r, "redirect_uris", "scopes")
	if err != nil {
		return err
	}
	a, err := h.app(r)
	if err != nil {
		return err
	}
	version, err := strconv.ParseInt(values.Get("version"), 10, 64)
	if err != nil {
		return web.BadRequest("version", "must be the number from the form")
	}
	page := formPage{ID: a.ID, Heading: a.Name, Version: version, Verified: !a.VerifiedAt.IsZero(), Form: parseForm(values)}
	page.Form.Confidential = a.Confidential
	if values.Get("add_row") != "" {
		return h.renderForm(w, r, http.StatusOK, withRow(page))
	}
	err = h.web.Once(w, r, values, "/developer/apps/"+a.ID, func(r *http.Request, by store.Principal) (*web.Shown, error) {
		saved, err := h.directory.UpdateApp(r.Context(), by, a, version, page.Form)
		if err != nil {
			return nil, err
		}
		notice := "Changes saved."
		if page.Verified && saved.VerifiedAt.IsZero() {
			notice += " The app is no longer verified."
		}
		h.web.Notice(w, r, notice)
		return nil, nil
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrConflict):
		return h.conflict(w, r, page)
	}
	if page.Errors, err = web.FieldErrors(err); err != nil {
		return err
	}
	return h.renderForm(w, r, http.StatusUnprocessableEntity, page)
}

// conflict shows the form again with the typed values and the current version, so that saving again overwrites the other change
// on purpose.
func (h *Handler) conflict(w http.ResponseWriter, r *http.Request, page formPage) error {
	present, err := h.app(r)
	if err != nil {
		return err
	}
	page.Conflict, page.Version, page.Heading, page.Verified = true, present.Version, present.Name, !present.VerifiedAt.IsZero()
	return h.renderForm(w, r, http.StatusConflict, page)
}

func parseForm(values web.Values) directory.AppForm {
	return directory.AppForm{
		Name: values.Get("name"), Description: values.Get("description"), Homepage: values.Get("homepage"), LogoURL: values.Get("logo_url"),
		RedirectURIs: values.All("redirect_uris"), Scopes: values.All("scopes"),
		Expiring: values.Get("expiring") != "", PKCERequired: values.Get("pkce_required") != "",
	}
}

// withRow adds an empty row for a redirect URI: the form's own button, which works without a script.
func withRow(page formPage) formPage {
	if rows := page.Form.RedirectURIs; len(rows) < maxRows {
		page.Form.RedirectURIs = append(slices.Clone(rows), "")
	}
	return page
}

func (h *Handler) renderForm(w http.ResponseWriter, r *http.Request, status int, page formPage) error {
	page.TokenLimit = h.directory.TokenLimit()
	var err error
	if page.ID == "" {
		if page.Accounts, err = h.accounts(r); err != nil {
			return err
		}
		if len(page.Accounts) == 0 && page.Errors["account"] == "" { // else the form shows the error with the typed values
			return web.Forbidden("Only admins of an account can register apps, and you are not an admin of any. Ask an admin to give you that role.")
		}
	}
	page.Form.RedirectURIs = slices.Clone(page.Form.RedirectURIs)
	for len(page.Form.RedirectURIs) < shownRows {
		page.Form.RedirectURIs = append(page.Form.RedirectURIs, "")
	}
	page.Scopes = choices(h.catalogue, page.Form.Scopes)
	return h.web.Render(w, r, status, "app_form", page)
}

// choices returns the check boxes of the catalogue, with the chosen ones ticked.
func choices(c *scope.Catalogue, chosen []string) []scopeChoice {
	var boxes []scopeChoice
	for _, name := range c.Names() {
		s, _ := c.Scope(name)
		boxes = append(boxes, scopeChoice{Name: name, Title: s.Title, Description: s.Description, Chosen: slices.Contains(chosen, name)})
	}
	return boxes
}
