package directory

import (
	"fmt"
	"slices"
	"strings"
)

// schemeAdvice names the schemes to register instead of a refused one.
const schemeAdvice = "use https, or your own scheme made of your domain name in reverse, such as com.example.app:/callback."

// meantSchemes have a meaning to browsers or operating systems: they run text as a program, read files, pass the request to
// another program than the app, or send it over the network unencrypted. An app that uses one of them cannot be distinguished
// from that program.
var meantSchemes = []string{
	// These run or show the contents of the address.
	"javascript", "data", "vbscript", "livescript", "mocha", "jscript", "about", "view-source", "feed", "blob", "filesystem", "jar",
	"mhtml", "cid", "mid", "urn", "tag", "wyciwyg", "resource", "res", "mk", "its", "hcp", "help", "shell", "search", "search-ms", "local",
	// Browsers' own pages.
	"chrome", "chrome-devtools", "chrome-error", "chrome-native", "chrome-search", "chrome-untrusted", "devtools", "edge", "brave",
	"opera", "vivaldi", "moz-icon", "moz-safe-about", "safari-resource",
	// Files and the programs that run them.
	"file", "content", "smb", "nfs", "afp", "dav", "davs", "webdav", "webdavs", "ipp", "ipps", "ldap", "ldaps", "rtsp", "rtmp", "mms",
	"intent", "android-app", "android-resource", "market", "apt", "steam", "itms", "itms-apps", "itms-appss", "itms-services", "prefs", "app-prefs",
	// The network. Schemes that start with http are refused elsewhere.
	"ftp", "ftps", "sftp", "tftp", "ws", "wss", "gopher", "dict", "news", "nntp", "snews", "irc", "ircs", "telnet", "ssh", "rlogin", "rdp",
	"vnc", "git", "svn", "cvs", "rsync", "redis", "imap", "imaps", "pop", "pop3", "smtp", "xmpp", "magnet", "ed2k", "torrent", "ipfs", "ipns", "socks", "proxy",
	"shttp", "spdy", "quic", "coap", "coaps", "mqtt", "mqtts", "postgres", "postgresql", "mysql", "mongodb", "jdbc", "odbc", "dns", "doi",
	// Calls, messages, places, money, devices.
	"mailto", "tel", "telprompt", "sms", "smsto", "mmsto", "callto", "sip", "sips", "facetime", "facetime-audio", "skype", "acct", "im",
	"pres", "webcal", "webcals", "geo", "maps", "bitcoin", "ethereum", "lightning", "payto", "upi", "wifi", "otpauth", "otpauth-migration", "fido", "openid", "openid4vp",
	"localhost", "null", "undefined", "none", "self",
}

// meantPrefixes start schemes that any website, or a part of an operating system, can be registered for.
var meantPrefixes = []string{"http", "web+", "ext+", "ms-", "x-apple", "x-web", "x-help", "x-man", "x-msg", "microsoft-"}

// privateSchemeFault checks an address of a native app. Other programs can claim its scheme as well. With a dot, its scheme
// is a reversed domain name (RFC 8252 §7.1). Without one it is allowed for public apps alone, whose codes are of no use
// without the PKCE verifier: desktop programs and browser extensions have such schemes and cannot choose others.
func privateSchemeFault(scheme, rest string, public bool) string {
	if fault := schemeFault(scheme, public); fault != "" {
		return fault
	}
	if !strings.HasPrefix(rest, "/") {
		return fmt.Sprintf("write a slash after the scheme, as in %s:/callback.", scheme)
	}
	if after, found := strings.CutPrefix(rest, "//"); found {
		authority, _, _ := cutAny(after, "/?")
		for i := range len(authority) {
			if c := authority[i]; !isAlnum(c) && c != '.' && c != '-' && c != '_' {
				return "between // and the path, use only letters, digits, dots, hyphens and underscores."
			}
		}
	}
	return ""
}

func schemeFault(scheme string, public bool) string {
	if scheme[0] < 'a' || 'z' < scheme[0] {
		return schemeAdvice
	}
	hasMeaning := func(prefix string) bool { return strings.HasPrefix(scheme, prefix) }
	switch {
	case slices.Contains(meantSchemes, scheme), slices.ContainsFunc(meantPrefixes, hasMeaning):
		return "this scheme is already used by browsers or operating systems; " + schemeAdvice
	case namesProduct(scheme):
		return "schemes with the name of this service are reserved; " + schemeAdvice
	}
	labels := strings.Split(scheme, ".")
	for _, label := range labels {
		if !validLabel(label) {
			return schemeAdvice
		}
	}
	switch {
	case len(labels) == 1 && !public:
		return "a scheme without a dot is only for public apps, which use PKCE; " + schemeAdvice
	case len(labels) == 1 && len(scheme) < 3:
		return "this scheme is too short; it looks like a drive letter."
	case len(labels) > 1 && !reversed(labels):
		return "this scheme is a domain name in the usual order and looks like a website; " + schemeAdvice
	}
	return ""
}

// validLabel accepts letters, digits, and hyphens between them.
func validLabel(label string) bool {
	if label == "" || strings.Trim(label, "-") != label {
		return false
	}
	for i := range len(label) {
		if !isAlnum(label[i]) && label[i] != '-' {
			return false
		}
	}
	return true
}

// genericDomains are well-known top-level domains; newDomains are newer ones that people may know.
var (
	genericDomains = []string{"com", "org", "net", "edu", "gov", "mil", "info", "biz"}
	newDomains     = []string{"app", "dev", "cloud", "online", "site", "store", "shop", "tech", "xyz", "bank", "link", "page", "live", "club"}
)

// reversed refuses schemes that look like a host: www.example.com, example.com, example.co.uk and hp.com, but not com.example. Two
// letters at either end are a country's domain.
func reversed(labels []string) bool {
	first, last := labels[0], labels[len(labels)-1]
	generic, country, short := slices.Contains(genericDomains, last), len(last) == 2, len(labels) == 2
	switch {
	case first == "www", generic && short && len(first) == 2:
		return false
	case len(first) == 2, slices.Contains(genericDomains, first), slices.Contains(newDomains, first):
		return true
	}
	return !generic && !country && !(short && slices.Contains(newDomains, last))
}
