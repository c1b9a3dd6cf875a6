package scope

import (
	"math/bits"
	"strings"
)

// Permission is one action on one resource, written "conversation:list". The
// two that end in ":self" apply to the caller's own user record.
type Permission string

// The permissions on the caller's own user record. The permission on
// all users includes the one on oneself.
const (
	FetchSelf  Permission = "user:fetch:self"
	UpdateSelf Permission = "user:update:self"
)

// Permissions returns all permissions, ordered by resource and action.
func Permissions() []Permission {
	var all []Permission
	for _, resource := range strings.Fields("organization organization_group user conversation message contact knowledge_item form service") {
		for _, action := range strings.Fields("list fetch create update delete") {
			all = append(all, Permission(resource+":"+action))
		}
	}
	return append(all, FetchSelf, UpdateSelf)
}

// ValidPermission reports whether s is the name of a permission. A resource server
// that requires any other name is misconfigured.
func ValidPermission(s string) bool {
	resource, action, _ := strings.Cut(s, ":")
	switch resource {
	case "user":
		if action == "fetch:self" || action == "update:self" {
			return true
		}
	case "organization", "organization_group", "conversation", "message", "contact", "knowledge_item", "form", "service":
	default:
		return false
	}
	switch action {
	case "list", "fetch", "create", "update", "delete":
		return true
	}
	return false
}

// permissionSet is a bit set; numbering assigns the bits.
type permissionSet uint64

// numbering assigns a bit to each permission.
type numbering struct {
	names []Permission
	bit   map[Permission]permissionSet
}

func newNumbering() numbering {
	n := numbering{names: Permissions(), bit: map[Permission]permissionSet{}}
	for i, p := range n.names {
		n.bit[p] = 1 << i
	}
	return n
}

// set returns the bits of the permissions. A permission on all users includes the
// one on the caller's own record.
func (n numbering) set(permissions []Permission) permissionSet {
	var set permissionSet
	for _, p := range permissions {
		set |= n.bit[p]
		switch p {
		case "user:fetch":
			set |= n.bit[FetchSelf]
		case "user:update":
			set |= n.bit[UpdateSelf]
		}
	}
	return set
}

// list returns the permissions of set in the order of Permissions.
func (n numbering) list(set permissionSet) []Permission {
	out := make([]Permission, 0, bits.OnesCount64(uint64(set)))
	for ; set != 0; set &= set - 1 {
		out = append(out, n.names[bits.TrailingZeros64(uint64(set))])
	}
	return out
}
