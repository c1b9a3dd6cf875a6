package directory

import (
	"strings"
	"unicode/utf8"
)

// Punycode (RFC 3492) gives the domain of an e-mail address one spelling in ASCII.
const (
	acePrefix = "xn--"

	punyBase        = 36
	punyTMin        = 1
	punyTMax        = 26
	punySkew        = 38
	punyDamp        = 700
	punyInitialBias = 72
	punyInitialN    = utf8.RuneSelf
	punyDigits      = "abcdefghijklmnopqrstuvwxyz0123456789"
)

// adapt is the bias for the next delta (RFC 3492 §6.1).
func adapt(delta, points int, first bool) int {
	if first {
		delta /= punyDamp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for delta > (punyBase-punyTMin)*punyTMax/2 {
		delta /= punyBase - punyTMin
		k += punyBase
	}
	return k + (punyBase-punyTMin+1)*delta/(delta+punySkew)
}

// threshold is t for the digit k (RFC 3492 §6.2).
func threshold(k, bias int) int { return min(max(k-bias, punyTMin), punyTMax) }

// encodePunycode returns a label without the prefix. Labels are short, so that no delta overflows.
func encodePunycode(label string) string {
	var out strings.Builder
	runes := []rune(label)
	for _, r := range runes {
		if r < utf8.RuneSelf {
			out.WriteByte(byte(r))
		}
	}
	basic := out.Len()
	if basic > 0 {
		out.WriteByte('-')
	}
	n, delta, bias := rune(punyInitialN), 0, punyInitialBias
	for done := basic; done < len(runes); {
		next := rune(utf8.MaxRune)
		for _, r := range runes {
			if r >= n && r < next {
				next = r
			}
		}
		delta += int(next-n) * (done + 1)
		n = next
		for _, r := range runes {
			if r < n {
				delta++
			}
			if r != n {
				continue
			}
			q := delta
			for k := punyBase; ; k += punyBase {
				t := threshold(k, bias)
				if q < t {
					break
				}
				out.WriteByte(punyDigits[t+(q-t)%(punyBase-t)])
				q = (q - t) / (punyBase - t)
			}
			out.WriteByte(punyDigits[q])
			bias = adapt(delta, done+1, done == basic)
			delta = 0
			done++
		}
		delta++
		n++
	}
	return out.String()
}

// decodePunycode reads a label without the prefix, in lower case; false: it is not Punycode.
func decodePunycode(label string) (string, bool) {
	var out []rune
	digits := label
	if i := strings.LastIndexByte(label, '-'); i >= 0 {
		out, digits = []rune(label[:i]), label[i+1:]
	}
	n, i, bias := punyInitialN, 0, punyInitialBias
	for digits != "" {
		before, w := i, 1
		for k := punyBase; ; k += punyBase {
			if digits == "" {
				return "", false
			}
			digit := strings.IndexByte(punyDigits, digits[0])
			digits = digits[1:]
			if digit < 0 {
				return "", false
			}
			i += digit * w
			if i > utf8.MaxRune*(maxLabel+1) {
				return "", false
			}
			t := threshold(k, bias)
			if digit < t {
				break
			}
			w *= punyBase - t
			if w > utf8.MaxRune*(maxLabel+1) {
				return "", false
			}
		}
		points := len(out) + 1
		bias = adapt(i-before, points, before == 0)
		n += i / points
		i %= points
		if !utf8.ValidRune(rune(n)) || n > utf8.MaxRune {
			return "", false
		}
		out = append(out[:i], append([]rune{rune(n)}, out[i:]...)...)
		i++
	}
	return string(out), true
}
