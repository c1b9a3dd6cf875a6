package ratelimit

import "net/netip"

// Network is the part of an address that one customer of a provider has: all of an IPv4 address, the /64 of an IPv6 address.
func Network(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil { // the zero address
		return ""
	}
	return prefix.String()
}
