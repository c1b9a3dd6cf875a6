package directory

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

const (
	maxRedirects = 10
	maxAddress   = 2000 // bytes
)

// reservedParameters are the parameters that this server adds to a redirect URI, or that change how an app reads the answer.
// If a registered URI contained one, it would come first (Innocenti et al., "OAuth 2.0 Redirect URI Validation Falls
// Short, Literally", ACSAC 2023).
var reservedParameters = []string{"code", "state", "error", "iss", "response", "error_description", "error_uri"}

// checkRedirectURIs returns the rows that are not blank, and a sentence for each faulty row, or "". A public app may
// have more schemes than a confidential one.
func (d *Directory) checkRedirectURIs(rows []string, confidential bool) ([]string, string) {
	var uris, faults []string
	for i, row := range rows {
		uri := strings.Trim(row, " \t\r\n")
		if uri == "" {
			continue
		}
		fault := redirectFault(uri, !confidential)
		if fault == "" && d.own.holds(uri) {
			fault = "this is an address of this service itself; enter one of your app's."
		}
		if fault == "" && slices.Contains(uris, uri) {
			fault = "this URI is listed twice; remove one."
		}
		if fault != "" {
			faults = append(faults, fmt.Sprintf("Redirect URI %d: %s", i+1, fault))
		}
		uris = append(uris, uri)
	}
	switch {
	case len(uris) == 0:
		return nil, "Enter at least one redirect URI, such as https://app.example/callback."
	case len(uris) > maxRedirects:
		return uris, fmt.Sprintf("Enter at most %d redirect URIs; there are %d.", maxRedirects, len(uris))
	}
	return uris, strings.Join(faults, " ")
}

// redirectFault returns the problem of one redirect URI and its fix, or "". Accepted URIs are later compared byte by byte, so
// everything that two programs could read differently is refused here.
func redirectFault(uri string, public bool) string {
	if fault := charactersFault(uri); fault != "" {
		return fault
	}
	scheme, rest, found := strings.Cut(uri, ":")
	switch {
	case !found || scheme == "" || strings.ContainsAny(scheme, "/?"):
		return "the scheme is missing; start with https://."
	case scheme != strings.ToLower(scheme):
		return "write the scheme in lower-case letters."
	case scheme == "https" || scheme == "http":
		if fault := webAddressFault(scheme, rest); fault != "" {
			return fault
		}
	default:
		if fault := privateSchemeFault(scheme, rest, public); fault != "" {
			return fault
		}
	}
	if _, err := url.Parse(uri); err != nil {
		return "this is not a valid URI; look for a stray percent sign or bracket."
	}
	path, query, hasQuery := strings.Cut(rest, "?")
	if fault := pathFault(path); fault != "" {
		return fault
	}
	if hasQuery {
		return queryFault(query)
	}
	return ""
}

// webURLFault checks a homepage or logo, which field names: https, or http on this machine, without userinfo.
func webURLFault(field, address string) string {
	if fault := charactersFault(strings.ReplaceAll(address, "#", "")); fault != "" {
		return "The " + field + " is not valid: " + fault
	}
	scheme, rest, _ := strings.Cut(address, ":")
	if scheme != "https" && scheme != "http" {
		return "The " + field + " must be a full address that starts with https://."
	}
	if fault := webAddressFault(scheme, rest); fault != "" {
		return "The " + field + " is not valid: " + fault
	}
	if _, err := url.Parse(address); err != nil {
		return "The " + field + " is not valid: look for a stray % sign."
	}
	return ""
}

// charactersFault refuses by the bytes alone, before anything is parsed.
func charactersFault(uri string) string {
	if len(uri) > maxAddress {
		return fmt.Sprintf("too long; use at most %d bytes.", maxAddress)
	}
	for i := range len(uri) {
		switch c := uri[i]; {
		case c >= 0x7F:
			return "only ASCII is allowed; write the host in punycode (xn--…) and percent-encode the rest."
		case c <= ' ':
			return "remove the space or control character."
		case c == '#':
			return "remove the fragment (#); it is not allowed."
		case c == '*':
			return "wildcards (*) are not supported; list each URI separately."
		case c == '\\':
			return `a backslash is not allowed; write "/" instead.`
		case strings.IndexByte("\"<>^`{|}", c) >= 0:
			return fmt.Sprintf("percent-encode the character %q.", c)
		}
	}
	return ""
}

// webAddressFault checks what follows "http:" or "https:".
func webAddressFault(scheme, rest string) string {
	after, found := strings.CutPrefix(rest, "//")
	if !found {
		return fmt.Sprintf("write %s:// before the host.", scheme)
	}
	authority, _, _ := cutAny(after, "/?#")
	if strings.Contains(authority, "@") {
		return "remove the user name or password before the host."
	}
	host, port, hasPort := cutPort(authority)
	switch {
	case host == "":
		return "the host is missing; write it after //."
	case hasPort && (strings.Trim(port, "0123456789") != "" || !validPort(port)):
		return "the port must be a number from 1 to 65535."
	case scheme == "http" && !loopbackHost(host):
		return "use https; http is allowed only for localhost, 127.0.0.1 and [::1]."
	case !validHost(host):
		return "the host must be a domain name or IP address in its usual form."
	}
	return ""
}

// cutPort splits host and port; the colons of a bracketed IPv6 address belong to the host.
func cutPort(authority string) (host, port string, found bool) {
	end := strings.LastIndexByte(authority, ']') + 1
	host, port, found = strings.Cut(authority[end:], ":")
	return authority[:end] + host, port, found
}

func loopbackHost(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "[::1]"
}

// validHost accepts a domain name of letters, digits and hyphens, an IPv4 address of four plain numbers, and an IPv6
// address in brackets. Browsers read 127.1, 0x7f000001 and 2130706433 as addresses; no legitimate app registers them.
func validHost(host string) bool {
	if inner, found := strings.CutPrefix(host, "["); found {
		inner, found = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return found && err == nil && addr.Is6() && !addr.Is4In6() && addr.Zone() == ""
	}
	if len(host) > 253 {
		return false
	}
	last := host
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(label, "-") != label {
			return false
		}
		for i := range len(label) {
			if !isAlnum(label[i]) && label[i] != '-' {
				return false
			}
		}
		last = label
	}
	if '0' <= last[0] && last[0] <= '9' {
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.Is4()
	}
	return true
}

// pathFault refuses paths that a proxy or server could resolve to another path (CVE-2022-3782, CVE-2024-1132).
func pathFault(path string) string {
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return "a percent sign must be followed by two hexadecimal digits."
	}
	// A proxy may decode the path once and the program behind it once more, and every character has two spellings.
	for _, hidden := range []string{"%2e", "%2f", "%5c"} {
		if strings.Contains(strings.ToLower(path), hidden) || strings.Contains(strings.ToLower(decoded), hidden) {
			return "do not percent-encode dots or slashes in the path."
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return "remove the . and .. segments from the path."
		}
	}
	for i := range len(decoded) {
		if decoded[i] < ' ' || decoded[i] == 0x7F {
			return "remove the percent-encoded control character."
		}
	}
	return ""
}

// queryFault checks the query of a redirect URI.
func queryFault(query string) string {
	if query == "" {
		return "remove the question mark at the end."
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "the query is malformed; use name=value pairs joined by &."
	}
	for name := range values {
		if slices.Contains(reservedParameters, strings.ToLower(name)) {
			return fmt.Sprintf("rename the query parameter %q, which is reserved for the response to the app.", strings.ToLower(name))
		}
	}
	return ""
}

// cutAny is strings.Cut at the first of any of the separators.
func cutAny(s, separators string) (before, after string, found bool) {
	if i := strings.IndexAny(s, separators); i >= 0 {
		return s[:i], s[i:], true
	}
	return s, "", false
}
