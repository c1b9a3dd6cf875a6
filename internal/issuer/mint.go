package issuer

import (
	"errors"
	"fmt"

	"xenoauth/store"
)

// mostMinted is how often a credential is minted anew because its id is taken. Two ids are never the same but by a broken
// source of randomness, and then trying for ever would not help.
const mostMinted = 3

// untilFree stores something under freshly minted ids, again with others if one of them is taken. When all are,
// store.ErrUnavailable: nobody did anything wrong, and nothing was stored.
func untilFree(mintAndStore func() error) error {
	var err error
	for range mostMinted {
		if err = mintAndStore(); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: every minted id is taken: %w", store.ErrUnavailable, err)
}
