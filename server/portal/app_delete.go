package portal

import (
	"fmt"
	"net/http"

	"xenoauth/internal/directory"
	"xenoauth/server/web"
	"xenoauth/store"
)

// deletePage is the data of delete.html.
type deletePage struct {
	App      store.App
	Installs store.Count // accounts on which it is installed
	Typed    string
	Errors   directory.FieldErrors
}

// ShowDeleteApp names the consequences and asks for the app's name.
func (h *Handler) ShowDeleteApp(w http.ResponseWriter, r *http.Request) error {
	a, err := h.app(r)
	if err != nil {
		return h.web.Ended(w, r, err, "/developer/apps")
	}
	return h.renderDelete(w, r, http.StatusOK, deletePage{App: a})
}

// DeleteApp deletes an app permanently, if its name was typed: a click by mistake must not break the app for its users.
func (h *Handler) DeleteApp(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	a, err := h.app(r)
	if err != nil {
		return h.web.Ended(w, r, err, "/developer/apps")
	}
	if typed := values.Get("confirm"); typed != a.Name {
		return h.renderDelete(w, r, http.StatusUnprocessableEntity, deletePage{App: a, Typed: typed,
			Errors: directory.FieldErrors{"confirm": fmt.Sprintf("Type the name exactly as shown: %s", a.Name)}})
	}
	v := web.VisitorOf(r.Context())
	if err := h.directory.DeleteApp(r.Context(), v.Ending(r), a.ID); err != nil {
		return h.web.Ended(w, r, err, "/developer/apps")
	}
	h.web.Notice(w, r, a.Name+" was deleted.")
	web.Redirect(w, r, "/developer/apps")
	return nil
}

func (h *Handler) renderDelete(w http.ResponseWriter, r *http.Request, status int, page deletePage) error {
	var err error
	if page.Installs, err = h.store.CountInstalled(r.Context(), page.App.ID, store.MaxInstalls); err != nil {
		return err
	}
	return h.web.Render(w, r, status, "delete", page)
}
