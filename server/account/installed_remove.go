package account

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server/web"
	"xenoauth/store"
)

// removePage is the data of remove.html.
type removePage struct {
	App      installedApp   // with the installation in the path only
	Own      bool           // the visitor installed it
	Choices  []removeChoice // installations of the app on the account, if there are several and the visitor can remove each
	Everyone store.Count    // members who installed it
	Remain   string         // without choices, the other members who keep the app
}

// removeChoice is one installation that the visitor can remove.
type removeChoice struct {
	ID     string
	By     string
	Chosen bool
}

// maxChoices is the number of installations that the page offers for removal.
const maxChoices = 100

// forAll is the value of the field "for" that ends all installations of the app on the account.
const forAll = "all"

// ShowRemoveApp asks for confirmation, naming the access that would end and the access that would remain.
func (h *Handler) ShowRemoveApp(w http.ResponseWriter, r *http.Request) error {
	user := web.VisitorOf(r.Context()).User
	i, err := h.installation(r, user, r.PathValue("installation"))
	if err != nil {
		return err
	}
	installers, err := h.store.Installers(r.Context(), i.AccountID, i.AppID, maxChoices+1)
	if err != nil {
		return err
	}
	if !i.RemovedAt.IsZero() {
		h.web.Notice(w, r, removed(i, installers, user))
		web.Redirect(w, r, "/account/apps")
		return nil
	}
	page := removePage{App: newInstalledApp(i), Own: i.UserID == user.ID, Everyone: store.Count{N: min(len(installers), maxChoices), More: len(installers) > maxChoices}}
	members := namingOf(installers, user)
	page.App.add(i, h.newInstaller(i, members))
	page.Remain = members.list(without(installers, i.ID))
	admin, err := h.isAdmin(r, user, i.AccountID)
	if err != nil {
		return err
	}
	if admin && len(installers) > 1 {
		for _, other := range installers[:page.Everyone.N] {
			page.Choices = append(page.Choices, removeChoice{ID: other.InstallationID, Chosen: other.InstallationID == i.ID,
				By: members.of(other.UserID, other.UserName, other.UserEmail)})
		}
	}
	return h.web.Render(w, r, http.StatusOK, "remove", page)
}

// RemoveApp removes an installation, or for an admin all installations of the app on the account; their tokens are invalid before
// the response. Removing one again gives the same response.
func (h *Handler) RemoveApp(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	v := web.VisitorOf(r.Context())
	i, err := h.installation(r, v.User, r.PathValue("installation"))
	if err != nil {
		return err
	}
	chosen := values.Get("for")
	if chosen == forAll {
		return h.removeForAll(w, r, v, i)
	}
	if chosen != "" && chosen != i.ID {
		other, err := h.installation(r, v.User, chosen)
		if err != nil {
			return err
		}
		if other.AppID != i.AppID || other.AccountID != i.AccountID {
			return web.NotFound()
		}
		i = other
	}
	err = h.store.RemoveInstallation(r.Context(), v.Principal(r), i.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	installers, err := h.store.Installers(r.Context(), i.AccountID, i.AppID, maxChoices+1)
	if err != nil {
		return err
	}
	h.web.Notice(w, r, removed(i, installers, v.User))
	web.Redirect(w, r, "/account/apps")
	return nil
}

func (h *Handler) removeForAll(w http.ResponseWriter, r *http.Request, v *web.Visitor, i store.InstalledApp) error {
	admin, err := h.isAdmin(r, v.User, i.AccountID)
	if err != nil {
		return err
	}
	if !admin {
		return web.NotFound()
	}
	if _, err := h.store.RemoveInstallations(r.Context(), v.Principal(r), i.AccountID, i.AppID); err != nil {
		return err
	}
	h.web.Notice(w, r, i.AppName+" was removed from "+i.AccountName+" for all members. It no longer has access to the account.")
	web.Redirect(w, r, "/account/apps")
	return nil
}

// installation finds one that the visitor may see, removed or not; others give 404.
func (h *Handler) installation(r *http.Request, user store.User, id string) (store.InstalledApp, error) {
	if !secret.ValidPublicID("ins_", id) {
		return store.InstalledApp{}, web.NotFound()
	}
	return h.store.InstalledAppByID(r.Context(), user.ID, id)
}

// isAdmin reports whether the visitor is an admin of the account, and so can remove installations of other members.
func (h *Handler) isAdmin(r *http.Request, user store.User, accountID string) (bool, error) {
	members, err := h.store.MembersByUser(r.Context(), user.ID)
	return slices.ContainsFunc(members, func(m store.Member) bool { return m.AccountID == accountID && m.Role == scope.RoleAdmin }), err
}

// removed is the notice after a removal: for which members the access ended, and for which it remains.
func removed(i store.InstalledApp, left []store.Installer, visitor store.User) string {
	left = without(left, i.ID)
	members := namingOf(append([]store.Installer{{UserName: i.UserName}}, left...), visitor)
	text := i.AppName + " was removed from " + i.AccountName
	if slices.ContainsFunc(left, func(l store.Installer) bool { return l.UserID == i.UserID }) {
		return i.AppName + " had already been removed from " + i.AccountName + " and has been connected again since."
	}
	if len(left) == 0 {
		return text + ". It no longer has access to the account."
	}
	return text + " for " + members.of(i.UserID, i.UserName, i.UserEmail) + ". It still has access there for " + members.list(left) + "."
}

func without(list []store.Installer, installationID string) []store.Installer {
	return slices.DeleteFunc(slices.Clone(list), func(i store.Installer) bool { return i.InstallationID == installationID })
}

func namingOf(list []store.Installer, visitor store.User) naming {
	var names []string
	for _, i := range list {
		names = append(names, i.UserName)
	}
	return newNaming(visitor, names...)
}

// list names members within a sentence: a few by name, the others as a number.
func (n naming) list(list []store.Installer) string {
	const maxNamed = 3
	var all []string
	for _, i := range list {
		if len(all) == maxNamed && len(list) > maxNamed+1 {
			all = append(all, strconv.Itoa(len(list)-maxNamed)+" other members")
			break
		}
		all = append(all, n.of(i.UserID, i.UserName, i.UserEmail))
	}
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}
