//go:build planted

package faults

// planted adds a bug to the server of every run, so that the tests must fail: make faults-planted shows that they can.
const planted = true
