//go:build planted

package faults

// ambushed puts a bug around the server of every campaign, so that the tests must fail: whoever runs them with the tag
// sees that they can (make faults-planted).
const ambushed = true
