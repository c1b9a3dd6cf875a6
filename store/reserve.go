package store

import "context"

type reserveKey struct{}

// WithReserve lets operations with the returned context use the reserved connections. They are for operations that must not wait
// behind all others: readiness, and the revocation of tokens.
func WithReserve(ctx context.Context) context.Context {
	return context.WithValue(ctx, reserveKey{}, true)
}

// MayUseReserve is for implementations. It reports whether ctx is from WithReserve.
func MayUseReserve(ctx context.Context) bool {
	may, _ := ctx.Value(reserveKey{}).(bool)
	return may
}
