package store

import "context"

type reservedKey struct{}

// WithReservedConnections lets operations with the returned context use the reserved connections. These are for operations
// that must not wait behind all others: readiness, and the revocation of tokens.
func WithReservedConnections(ctx context.Context) context.Context {
	return context.WithValue(ctx, reservedKey{}, true)
}

// MayUseReservedConnections is for implementations. It reports whether ctx is from WithReservedConnections.
func MayUseReservedConnections(ctx context.Context) bool {
	may, _ := ctx.Value(reservedKey{}).(bool)
	return may
}
