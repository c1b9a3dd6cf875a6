package store

import "context"

type reserveKey struct{}

// WithReserve lets operations with the returned context use the connections that are kept for what must not wait behind
// everything else: whether the server is well, and the end of a token.
func WithReserve(ctx context.Context) context.Context {
	return context.WithValue(ctx, reserveKey{}, true)
}

// MayUseReserve is for implementations.
func MayUseReserve(ctx context.Context) bool {
	may, _ := ctx.Value(reserveKey{}).(bool)
	return may
}
