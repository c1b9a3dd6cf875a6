package account

import (
	"net/http"
	"slices"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/server/web"
	"xenoauth/store"
)

// installedPage is the data of installed.html.
type installedPage struct {
	Apps       []installedApp
	List       web.List
	TokenLimit int // 0: none
}

// installedApp is an app on an account, with every installation that the visitor may see.
type installedApp struct {
	ID           string // of an installation: the visitor's own, if there is one
	AppID        string
	AccountID    string
	Name         string
	HomepageHost string // "" unless the app is verified
	AccountName  string
	Verified     bool
	Connected    bool      // one of the installations holds a valid token
	LastUsedAt   time.Time // of the installations below
	Installers   []installer
	Unlisted     int // further installations, which the page omits
}

// installer is one member's installation.
type installer struct {
	ID         string
	By         string // "you" or a name
	Own        bool
	Role       string // the current role, within a sentence: "an agent"
	User       string // the name and e-mail address that the app learns; "" if its consent page did not name them
	Connected  bool
	Grants     []scope.Grant
	CreatedAt  time.Time
	LastUsedAt time.Time
}

// Nothing reports whether the scopes that this member approved give the app no access.
func (i installer) Nothing() bool {
	return len(i.Grants) > 0 && !slices.ContainsFunc(i.Grants, func(g scope.Grant) bool { return !g.Nothing() })
}

// maxInstallers is the number of installations that the list shows for one app on one account.
const maxInstallers = 10

// ListInstalledApps lists the apps that the visitor may see and remove: a row for each app and account.
func (h *Handler) ListInstalledApps(w http.ResponseWriter, r *http.Request) error {
	user := web.VisitorOf(r.Context()).User
	query, err := web.ReadListQuery(r)
	if err != nil {
		return err
	}
	installed, more, err := h.store.InstalledApps(r.Context(), user.ID, store.InstalledQuery{
		Search: query.Search, Offset: query.Offset(), Limit: web.PageSize, Installers: maxInstallers,
	})
	if err != nil {
		return err
	}
	page := installedPage{Apps: h.byAppAndAccount(installed, user), List: query.List(more), TokenLimit: h.directory.TokenLimit()}
	return h.web.Render(w, r, http.StatusOK, "installed", page)
}

// byAppAndAccount groups installations by app and account, in the order of the first of each group.
func (h *Handler) byAppAndAccount(installed []store.InstalledApp, user store.User) []installedApp {
	var apps []installedApp
	bearers := map[[2]string][]string{}
	for _, i := range installed {
		key := [2]string{i.AppID, i.AccountID}
		bearers[key] = append(bearers[key], i.UserName)
	}
	place := map[[2]string]int{}
	for _, i := range installed {
		key := [2]string{i.AppID, i.AccountID}
		at, known := place[key]
		if !known {
			at = len(apps)
			place[key] = at
			apps = append(apps, newInstalledApp(i))
			apps[at].Unlisted = i.Installers
		}
		apps[at].add(i, h.newInstaller(i, newNaming(user, bearers[key]...)))
		apps[at].Unlisted--
	}
	return apps
}

func newInstalledApp(i store.InstalledApp) installedApp {
	host := ""
	if i.AppVerified { // a homepage that was not verified is only a claim
		host = web.Host(i.AppHomepage)
	}
	return installedApp{
		ID: i.ID, AppID: i.AppID, AccountID: i.AccountID, Name: i.AppName, HomepageHost: host, AccountName: i.AccountName,
		Verified: i.AppVerified,
	}
}

// add adds an installation.
func (a *installedApp) add(i store.InstalledApp, by installer) {
	if by.Own {
		a.ID = i.ID
	}
	a.Connected = a.Connected || by.Connected
	if by.LastUsedAt.After(a.LastUsedAt) {
		a.LastUsedAt = by.LastUsedAt
	}
	a.Installers = append(a.Installers, by)
}

// newInstaller describes the effective permissions of an installation, as tokens get them: the scopes that the app still has,
// with those that they imply, within the member's current role.
func (h *Handler) newInstaller(i store.InstalledApp, members naming) installer {
	by := installer{
		ID: i.ID, By: members.of(i.UserID, i.UserName, i.UserEmail), Own: i.UserID == members.visitor.ID, Connected: i.Tokens > 0,
		Grants:    h.catalogue.Grants(h.catalogue.Expand(i.Scopes.Intersect(i.AppScopes)), i.Role),
		Role:      h.catalogue.RoleInSentence(i.Role),
		CreatedAt: i.CreatedAt, LastUsedAt: i.LastUsedAt,
	}
	if i.Profile {
		by.User = i.UserName + ", " + i.UserEmail
	}
	return by
}

// naming names the members that one page lists.
type naming struct {
	visitor store.User
	bearers map[string]int // number of members by name
}

func newNaming(visitor store.User, names ...string) naming {
	n := naming{visitor, map[string]int{}}
	for _, name := range names {
		n.bearers[directory.NameKey(name)]++
	}
	return n
}

// of names a member within a sentence. Members choose their names, so the e-mail address is added to a name that several members
// have or that could be read as part of the sentence.
func (n naming) of(id, name, email string) string {
	switch {
	case id == n.visitor.ID:
		return "you"
	case name == "":
		return email
	case n.bearers[directory.NameKey(name)] > 1, directory.ReadsAsSentence(name):
		return name + " (" + email + ")"
	}
	return name
}
