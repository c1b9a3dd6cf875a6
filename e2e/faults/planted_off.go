//go:build !planted

package faults

// ambushed: see ambush_on.go.
const ambushed = false
