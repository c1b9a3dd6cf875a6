package secret

// Seal encrypts plain under a key of the server, of at least 32 bytes. Open
// needs the same key and context. The cipher is that of Credential.Seal.
func Seal(key, plain []byte, context string) ([]byte, error) {
	if len(key) == 0 {
		return nil, ErrNoSecret
	}
	return seal(key, plain, context)
}

// Open decrypts the result of Seal. Anything else is ErrSealed.
func Open(key, sealed []byte, context string) ([]byte, error) {
	if len(key) == 0 {
		return nil, ErrNoSecret
	}
	return open(key, sealed, context)
}
