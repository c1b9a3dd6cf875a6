package store

import "context"

type reserveKey struct{}

// WithReservedConnections lets operations with the returned context use the reserved connections. They are for operations that must not wait
// behind all others: readiness, and the revocation of tokens.
func WithReservedConnections(ctx context.Context) context.Context {
	return context.WithValue(ctx, reserveKey{}, true)
}

// MayUseReservedConnections is for implementations. It reports whether ctx is from WithReservedConnections.
func MayUseReservedConnections(ctx context.Context) bool {
	may, _ := ctx.Value(reserveKey{}).(bool)
	return may
}
