package secret

// Seal encrypts plain under a key of the server's own, of 32 bytes or more,
// for Open with the same key and context, which is part of what is proven. It
// is the cipher of Credential.Seal.
func Seal(key, plain []byte, context string) ([]byte, error) {
	if len(key) == 0 {
		return nil, ErrNoSecret
	}
	return seal(key, plain, context)
}

// Open returns what Seal was given, or ErrSealed.
func Open(key, sealed []byte, context string) ([]byte, error) {
	if len(key) == 0 {
		return nil, ErrNoSecret
	}
	return open(key, sealed, context)
}
