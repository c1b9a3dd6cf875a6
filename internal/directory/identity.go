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

// A verification covers the identity of an app at that time: its name, homepage, logo, and the hosts of its redirect URIs.

// identityChanges names the differences between two states of an app that end a verification; "" if there are none.
// Removing a redirect URI deceives no one, and neither does another path on a known host.
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

// originOf is the destination of a redirect URI: scheme, host and port of a web address; on this machine without the port, which
// varies; of a native app's address only the scheme, because the rest identifies no destination.
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

// VerifyApp marks this version of the app as verified. ErrAppChanged if it was edited since.
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

// AppSeen is a fingerprint of an app as a consent page shows it, verification included. The requested scopes and the redirect URI
// belong to the request instead.
func AppSeen(a store.App) string {
	shown := []string{a.Name, a.AccountName, a.Homepage, a.Description, fmt.Sprint(!a.VerifiedAt.IsZero())}
	sum := sha256.Sum256([]byte(strings.Join(shown, "\x00"))) // no name holds a NUL
	return hex.EncodeToString(sum[:8])
}
