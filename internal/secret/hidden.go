package secret

// hide allocates a secret behind two pointers. fmt calls no methods on values in
// unexported fields of other structs. It follows one pointer if the verb does
// not suit it, but never two: then it prints an address. Both pointers and the
// value are one allocation.
func hide[T any]() **T {
	h := new(struct {
		to   *T
		room T
	})
	h.to = &h.room
	return &h.to
}
