package issuer

import (
	"errors"
	"fmt"

	"xenoauth/store"
)

// maxIDAttempts is how many ids are tried for a new credential. Random ids collide only if the source of randomness is
// broken, and more attempts would not help then.
const maxIDAttempts = 3

// withFreshID calls create, which draws new ids and stores something under them, again while an id is taken. After
// maxIDAttempts the error is store.ErrUnavailable: the request was correct, and nothing was stored.
func withFreshID(create func() error) error {
	var err error
	for range maxIDAttempts {
		if err = create(); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: %d new ids were taken: %w", store.ErrUnavailable, maxIDAttempts, err)
}
