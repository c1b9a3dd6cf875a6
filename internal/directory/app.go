package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// AppForm holds the fields of an app that a developer can set.
type AppForm struct {
	Name         string
	Description  string
	Homepage     string // https URL, http on this machine, or ""
	LogoURL      string // as Homepage
	RedirectURIs []string
	Scopes       []string // names or aliases
	Confidential bool     // has secrets; fixed at registration
	Expiring     bool     // tokens expire although the app is confidential; always so for public apps
	PKCERequired bool     // always so for public apps
}

// CreateApp registers an app of the account and, if it is confidential, mints its first secret, which is returned only
// here (nil for a public app). FieldErrors hold all faults of the form. A user must be an admin of the account, else
// store.ErrNotFound. Apps that the operator registers are verified.
func (d *Directory) CreateApp(ctx context.Context, by store.Principal, accountID string, f AppForm) (store.App, *secret.Credential, error) {
	if err := mayManage(by); err != nil {
		return store.App{}, nil, err
	}
	now := d.store.Now()
	a := store.App{
		ID: secret.NewPublicID("app_"), AccountID: accountID, Confidential: f.Confidential, Version: 1,
		CreatedBy: by.UserID(), CreatedAt: now, UpdatedAt: now,
	}
	if by.IsOperator() {
		a.VerifiedAt = now
	}
	if err := d.apply(ctx, by, &a, f); err != nil {
		return store.App{}, nil, err
	}
	var first *store.Secret
	var credential *secret.Credential
	if a.Confidential {
		c := d.format.New(secret.Client)
		s := d.secretRow(a.ID, c)
		credential, first = &c, &s
	}
	err := d.createWithin(ctx, by, a, first)
	if errors.Is(err, store.ErrLimit) {
		return store.App{}, nil, FieldErrors{"account": fmt.Sprintf("The account has %d apps, the maximum. Delete one you no longer use, or ask the operator of this service for help.", d.options.MaxApps)}
	}
	if errors.Is(err, store.ErrNotFound) {
		return store.App{}, nil, &NotFoundError{What: "account", Ref: accountID}
	}
	if err != nil {
		return store.App{}, nil, fmt.Errorf("create app in account %s: %w", accountID, err)
	}
	return a, credential, nil
}

// createWithin limits the apps of an account, except for the operator.
func (d *Directory) createWithin(ctx context.Context, by store.Principal, a store.App, first *store.Secret) error {
	if by.IsOperator() {
		return d.store.CreateApp(ctx, by, a, first)
	}
	return d.store.CreateAppWithin(ctx, by, a, first, d.options.MaxApps)
}

// App returns an app to the admins of its account and to the operator. Other parties get store.ErrNotFound, as if the app did
// not exist.
func (d *Directory) App(ctx context.Context, by store.Principal, appID string) (store.App, error) {
	if err := mayManage(by); err != nil {
		return store.App{}, err
	}
	a, err := d.store.ManagedApp(ctx, by, appID)
	return a, notFound(err, "app", appID)
}

// Apps lists the apps of all accounts of which the user is an admin, newest first. The operator's list is store.ListApps.
func (d *Directory) Apps(ctx context.Context, by store.Principal) ([]store.App, error) {
	userID, err := userOf(by)
	if err != nil {
		return nil, err
	}
	apps, err := d.store.AppsByUser(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("list apps of user %s: %w", userID, err)
	}
	return apps, nil
}

// UpdateApp replaces the fields that a developer can edit, of an app that App returned. version is the version that the form
// showed: store.ErrConflict if the app was changed since. A change of the name, homepage or logo, or a new host in the redirect
// URIs, ends the verification of a verified app, unless the operator makes the change and so confirms it. f.Confidential is
// ignored: if a confidential app could become public, its old tokens would stay non-expiring, so the type is fixed at
// registration.
func (d *Directory) UpdateApp(ctx context.Context, by store.Principal, a store.App, version int64, f AppForm) (store.App, error) {
	if err := mayManage(by); err != nil {
		return store.App{}, err
	}
	if a.Version != version { // the changes are compared with the version that the form showed
		return store.App{}, fmt.Errorf("update app %s: %w", a.ID, store.ErrConflict)
	}
	before := a
	if err := d.apply(ctx, by, &a, f); err != nil {
		return store.App{}, err
	}
	unverifyFor := ""
	if !by.IsOperator() {
		unverifyFor = identityChanges(before, a)
	}
	if err := d.store.UpdateApp(ctx, by, a, unverifyFor); err != nil {
		return store.App{}, fmt.Errorf("update app %s: %w", a.ID, err)
	}
	a.Version++
	a.UpdatedAt = d.store.Now()
	if unverifyFor != "" {
		a.VerifiedAt = time.Time{}
	}
	return a, nil
}

// DeleteApp is final: its codes and tokens are revoked when it returns.
func (d *Directory) DeleteApp(ctx context.Context, by store.Principal, appID string) error {
	if err := mayManage(by); err != nil {
		return err
	}
	return notFound(d.store.DeleteApp(ctx, by, appID), "app", appID)
}

// apply checks the form and writes it into a, whose Confidential and owner are already decided. FieldErrors hold all faults.
func (d *Directory) apply(ctx context.Context, by store.Principal, a *store.App, f AppForm) error {
	faults := FieldErrors{}
	var fault string
	a.Name, fault = checkAppName(f.Name)
	if fault == "" && !by.IsOperator() {
		var err error
		if fault, err = d.imitationFault(ctx, a.Name, a.AccountID); err != nil {
			return err
		}
	}
	faults.add("name", fault)
	a.Description, fault = cleanDescription(f.Description)
	faults.add("description", fault)
	a.Homepage, fault = d.checkWebURL("homepage", f.Homepage)
	faults.add("homepage", fault)
	a.LogoURL, fault = d.checkWebURL("logo URL", f.LogoURL)
	faults.add("logo_url", fault)
	a.RedirectURIs, fault = d.checkRedirectURIs(f.RedirectURIs, a.Confidential)
	faults.add("redirect_uris", fault)
	a.Scopes, fault = d.checkScopes(f.Scopes)
	faults.add("scopes", fault)
	a.Expiring = f.Expiring || !a.Confidential
	a.PKCERequired = f.PKCERequired || !a.Confidential
	return faults.orNil()
}

// checkWebURL accepts "" and the addresses that webURLFault accepts, except on our own host: the consent page of a verified app
// shows the host of the homepage, by which people recognise the app.
func (d *Directory) checkWebURL(field, address string) (string, string) {
	address = strings.TrimSpace(address)
	if address == "" {
		return "", ""
	}
	if fault := webURLFault(field, address); fault != "" {
		return address, fault
	}
	if d.own.holds(address) {
		return address, "The " + field + " is an address of this service itself. Enter one of your own."
	}
	return address, ""
}

// checkScopes resolves aliases and names the scopes that do not exist.
func (d *Directory) checkScopes(names []string) (scope.Set, string) {
	asked, err := scope.ParseSet(strings.Join(names, " "))
	if err != nil {
		return scope.Set{}, "A scope contains an invalid character. Use the names in the list."
	}
	if asked.Len() == 0 {
		return scope.Set{}, "Choose at least one scope. The app cannot do anything without one."
	}
	canonical, unknown := d.catalogue.Canonical(asked)
	if len(unknown) > 0 {
		slices.Sort(unknown)
		fault := fmt.Sprintf("Unknown scope: %s. Available scopes: %s.",
			strings.Join(unknown, ", "), strings.Join(d.catalogue.Names(), ", "))
		if slices.ContainsFunc(unknown, func(name string) bool { return strings.Contains(name, ",") }) {
			fault += " Separate scopes with spaces, not commas."
		}
		return scope.Set{}, fault
	}
	return canonical, ""
}
