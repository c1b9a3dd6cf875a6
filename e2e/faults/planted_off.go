//go:build !planted

package faults

// planted: see planted_on.go.
const planted = false
