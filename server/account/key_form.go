package account

import (
	"net/http"
	"slices"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/server/web"
	"xenoauth/store"
)

// keyFormPage is the data of key_form.html.
type keyFormPage struct {
	Accounts []store.Member // of which one is chosen; never empty
	Account  string
	Name     string
	Token    bool // the key is used as a token
	Roles    []chosenRole
	Bots     []store.Bot // that a token can act for, instead of the visitor
	Several  bool        // the visitor manages several accounts
	User     string      // that it acts for; "" is the visitor
	Errors   directory.FieldErrors
}

// chosenRole is the check box of a role.
type chosenRole struct {
	scope.RoleInfo
	Chosen bool
}

// ShowNewKey shows the empty form.
func (h *Handler) ShowNewKey(w http.ResponseWriter, r *http.Request) error {
	return h.keyForm(w, r, http.StatusOK, keyFormPage{}, nil)
}

// keyForm renders the form with its choices. A user who manages no account cannot create keys.
func (h *Handler) keyForm(w http.ResponseWriter, r *http.Request, status int, page keyFormPage, roles []string) error {
	var err error
	if page.Accounts, err = h.managed(r); err != nil {
		return err
	}
	if len(page.Accounts) == 0 {
		return web.Forbidden("Only admins of an account can create API keys, and you are not an admin of any.")
	}
	page.Several = len(page.Accounts) > 1
	if page.Bots, err = h.directory.Bots(r.Context(), web.PrincipalOf(r)); err != nil {
		return err
	}
	for _, info := range h.catalogue.Roles() {
		page.Roles = append(page.Roles, chosenRole{info, slices.Contains(roles, string(info.Role))})
	}
	return h.web.Render(w, r, status, "key_form", page)
}

// CreateKey creates a key, and redirects to the page that shows it once. A user who ticked scopes but left the other kind selected
// wants a limited key, and must not get one that can do everything.
func (h *Handler) CreateKey(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r, "scopes")
	if err != nil {
		return err
	}
	page := keyFormPage{Account: values.Get("account"), Name: values.Get("name"), Token: values.Get("kind") == "token", User: values.Get("user")}
	accountID, err := h.accountOf(r, page.Account)
	if err != nil {
		return err
	}
	form := directory.KeyForm{Name: page.Name, UserID: page.User}
	switch scopes := values.All("scopes"); {
	case page.Token:
		form.Scopes = append([]string{}, scopes...)
	case values.Get("kind") != "account":
		return web.BadRequest("kind", "must be account or token")
	case len(scopes) > 0:
		page.Errors = directory.FieldErrors{"scopes": "An account API key has no scopes. Choose “Key with scopes”, or clear the scopes."}
		return h.keyForm(w, r, http.StatusUnprocessableEntity, page, scopes)
	}
	err = h.web.Once(w, r, values, created, func(r *http.Request, by store.Principal) (*web.Shown, error) {
		k, c, err := h.directory.CreateKey(r.Context(), by, accountID, form)
		return &web.Shown{ID: k.ID, New: true, Secret: c.Reveal()}, err
	})
	if err != nil {
		if page.Errors, err = web.FieldErrors(err); err != nil {
			return tooMany(err)
		}
		return h.keyForm(w, r, http.StatusUnprocessableEntity, page, values.All("scopes"))
	}
	return nil
}

// accountOf returns the account that a form names, or the only one that the visitor manages.
func (h *Handler) accountOf(r *http.Request, id string) (string, error) {
	accounts, err := h.managed(r)
	if err != nil {
		return "", err
	}
	for _, m := range accounts {
		if m.AccountID == id || id == "" && len(accounts) == 1 {
			return m.AccountID, nil
		}
	}
	return "", web.NotFound()
}
