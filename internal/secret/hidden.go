package secret

// hide makes room for a secret behind two pointers. fmt calls no methods on
// values in unexported fields of other structs, prints what one pointer points
// to when the verb does not suit it, but never follows two: it prints an
// address. Both pointers and the room are one allocation.
func hide[T any]() **T {
	h := new(struct {
		to   *T
		room T
	})
	h.to = &h.room
	return &h.to
}
