package secret

import (
	"crypto/rand"
	"hash/crc32"
	"math/bits"
)

// alphabet orders digits before upper-case before lower-case letters, as ASCII
// does, so that zero-padded numbers of one width sort as text and as numbers
// alike.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const (
	chunkDigits = 10
	// chunk is 62^10, the largest power of 62 for which a 128-bit number
	// can be split with 64-bit divisions.
	chunk = 839299365868340224
)

// digit returns the value of one base62 character.
func digit(c byte) (uint64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'A' <= c && c <= 'Z':
		return uint64(c-'A') + 10, true
	case 'a' <= c && c <= 'z':
		return uint64(c-'a') + 36, true
	}
	return 0, false
}

// base62Only reports whether every byte of s belongs to the alphabet.
func base62Only(s string) bool {
	for i := range len(s) {
		if _, ok := digit(s[i]); !ok {
			return false
		}
	}
	return true
}

// putDigits writes v into dst, most significant digit first and zero-padded.
func putDigits(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = alphabet[v%62]
		v /= 62
	}
}

// encode128 writes the 128-bit number hi:lo as 22 digits.
func encode128(dst *[idLen]byte, hi, lo uint64) {
	for end := idLen; end > 0; end -= chunkDigits {
		var rest uint64
		hi, rest = hi/chunk, hi%chunk
		lo, rest = bits.Div64(rest, lo, chunk)
		putDigits(dst[max(0, end-chunkDigits):end], rest)
	}
}

// decode128 reads 22 digits; it refuses other characters, other lengths and
// numbers over 2^128-1, so that every id has exactly one spelling.
func decode128(s string) (hi, lo uint64, ok bool) {
	if len(s) != idLen {
		return 0, 0, false
	}
	for i := range len(s) {
		d, ok := digit(s[i])
		if !ok {
			return 0, 0, false
		}
		over, high := bits.Mul64(hi, 62)
		carry, low := bits.Mul64(lo, 62)
		low, c := bits.Add64(low, d, 0)
		high, c = bits.Add64(high, carry, c)
		if over != 0 || c != 0 {
			return 0, 0, false
		}
		hi, lo = high, low
	}
	return hi, lo, true
}

// draw fills dst with characters drawn uniformly from the alphabet. Six random
// bits give 64 values. The two beyond the alphabet are discarded: reducing
// them modulo 62 would make two characters twice as likely as the others.
func draw(dst []byte) {
	var buf [64]byte
	for n := 0; n < len(dst); {
		rand.Read(buf[:]) // never fails: the runtime crashes the process instead
		for _, b := range buf {
			if b &= 63; b < 62 && n < len(dst) {
				dst[n] = alphabet[b]
				n++
			}
		}
	}
}

// checksum returns the CRC-32 (IEEE) of text as six digits. The loop over the
// standard table avoids the copy to a byte slice that the library would need
// for every presented credential.
func checksum[T string | []byte](text T) [checksumLen]byte {
	crc := ^uint32(0)
	for i := range len(text) {
		crc = crc32.IEEETable[byte(crc)^text[i]] ^ crc>>8
	}
	var sum [checksumLen]byte
	putDigits(sum[:], uint64(^crc))
	return sum
}
