package directory

import (
	"net/url"
	"strings"
)

// ownAddress is the address of this server. An app must not register an address there: the server's own pages would speak for
// the app, or would receive its codes.
type ownAddress struct {
	host string // lower case, with brackets around IPv6; "" if unknown
	port string
}

func newOwnAddress(issuer string) ownAddress {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return ownAddress{}
	}
	host, port, _ := cutPort(strings.ToLower(u.Host))
	return ownAddress{host: host, port: usualPort(u.Scheme, port)}
}

// holds reports whether a web address is on our host, by either scheme and any port. All programs on this machine share one
// host, which has three names, so there the port decides.
func (o ownAddress) holds(address string) bool {
	scheme, rest, _ := strings.Cut(address, "://")
	if o.host == "" || scheme != "https" && scheme != "http" {
		return false
	}
	authority, _, _ := cutAny(rest, "/?#")
	host, port, _ := cutPort(strings.ToLower(authority))
	if loopbackHost(o.host) {
		return loopbackHost(host) && usualPort(scheme, port) == o.port
	}
	return host == o.host
}

func usualPort(scheme, port string) string {
	switch {
	case port != "":
		return port
	case scheme == "https":
		return "443"
	}
	return "80"
}
