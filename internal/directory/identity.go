package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"xenoauth/store"
)

// A verification is about an app as it was: its name, its homepage, its logo, and the places that it sends people to.

// identityChanges names the differences between two states of an app that end a verification; "" if there are none.
// A redirect URI that goes away deceives no one, and neither does another path on a host that was there.
func identityChanges(before, after store.App) string {
	var changes []string
	if before.Name != after.Name {
		changes = append(changes, "the name")
	}
	if before.Homepage != after.Homepage {
		changes = append(changes, "the homepage")
	}
	if before.LogoURL != after.LogoURL {
		changes = append(changes, "the logo")
	}
	known := origins(before.RedirectURIs)
	if slices.ContainsFunc(origins(after.RedirectURIs), func(o string) bool { return !slices.Contains(known, o) }) {
		changes = append(changes, "the host of a redirect URI")
	}
	if len(changes) < 2 {
		return strings.Join(changes, "")
	}
	return strings.Join(changes[:len(changes)-1], ", ") + " and " + changes[len(changes)-1]
}

func origins(uris []string) []string {
	list := make([]string, 0, len(uris))
	for _, uri := range uris {
		list = append(list, originOf(uri))
	}
	return list
}

// originOf is where a redirect URI leads: scheme, host and port of a web address; without the port, which varies, on this
// machine; of a native app's address the scheme alone, because nothing else of it means a place.
func originOf(uri string) string {
	scheme, rest, _ := strings.Cut(uri, ":")
	if scheme != "https" && scheme != "http" {
		return scheme + ":"
	}
	if origin, _, ok := splitLoopback(uri); ok {
		return origin
	}
	authority, _, _ := cutAny(strings.TrimPrefix(rest, "//"), "/?#")
	return scheme + "://" + strings.TrimSuffix(strings.ToLower(authority), map[string]string{"https": ":443", "http": ":80"}[scheme])
}

// ErrAppChanged: the app is no longer as the operator saw it, so it was not verified.
var ErrAppChanged = errors.New("the app has changed, so it was not verified: review it again")

// VerifyApp vouches for the app as it was in this version. ErrAppChanged if it was edited since.
func (d *Directory) VerifyApp(ctx context.Context, by store.Principal, appID string, version int64) error {
	if err := operatorOnly(by); err != nil {
		return err
	}
	err := d.store.VerifyApp(ctx, by, appID, version)
	if errors.Is(err, store.ErrConflict) {
		return ErrAppChanged
	}
	if err != nil {
		return fmt.Errorf("verify app %s: %w", appID, err)
	}
	return nil
}

// AppSeen is a fingerprint of an app as a consent page shows it, verification included. The scopes it asks for and the redirect URI
// belong to the request.
func AppSeen(a store.App) string {
	shown := []string{a.Name, a.AccountName, a.Homepage, a.Description, fmt.Sprint(!a.VerifiedAt.IsZero())}
	sum := sha256.Sum256([]byte(strings.Join(shown, "\x00"))) // no name holds a NUL
	return hex.EncodeToString(sum[:8])
}
