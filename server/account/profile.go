package account

import (
	"net/http"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/server/web"
	"xenoauth/store"
)

// profilePage is the data of profile.html.
type profilePage struct {
	User    store.User
	Name    string // as typed
	Members []membership
	Admin   bool // of an account, so that keys and bots are offered
	Errors  directory.FieldErrors
}

// membership is one account of a person.
type membership struct {
	ID       string
	Name     string
	Role     string // title
	RoleText string
	JoinedAt time.Time
}

// ShowProfile shows the visitor's name, address and accounts.
func (h *Handler) ShowProfile(w http.ResponseWriter, r *http.Request) error {
	user := web.VisitorOf(r.Context()).User
	return h.profile(w, r, http.StatusOK, profilePage{User: user, Name: user.Name})
}

// Rename changes the visitor's name.
func (h *Handler) Rename(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	v := web.VisitorOf(r.Context())
	page := profilePage{User: v.User, Name: values.Get("name")}
	if err := h.directory.Rename(r.Context(), v.Principal(r), v.User.ID, page.Name); err != nil {
		if page.Errors, err = web.FieldErrors(err); err != nil {
			return err
		}
		return h.profile(w, r, http.StatusUnprocessableEntity, page)
	}
	h.web.Notice(w, r, "Name saved.")
	web.Redirect(w, r, "/account")
	return nil
}

func (h *Handler) profile(w http.ResponseWriter, r *http.Request, status int, page profilePage) error {
	members, err := h.store.MembersByUser(r.Context(), page.User.ID)
	if err != nil {
		return err
	}
	for _, m := range members {
		role := h.role(m.Role)
		page.Admin = page.Admin || m.Role == scope.RoleAdmin
		page.Members = append(page.Members, membership{ID: m.AccountID, Name: m.AccountName, Role: role.Title, RoleText: role.Description, JoinedAt: m.JoinedAt})
	}
	return h.web.Render(w, r, status, "profile", page)
}

func (h *Handler) role(name scope.Role) scope.RoleInfo {
	for _, info := range h.catalogue.Roles() {
		if info.Role == name {
			return info
		}
	}
	return scope.RoleInfo{Role: name, Title: string(name)}
}
