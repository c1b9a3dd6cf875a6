package scope

import "strings"

// standard are the scopes of OpenID Connect Core (§3.1.2.1, §5.4, §11), which many client libraries add unasked. Where the
// catalogue does not have them, they are left out of the request (RFC 6749 §3.3), instead of failing the request.
var standard = map[string]bool{
	"openid": true, "profile": true, "email": true, "address": true, "phone": true, "offline_access": true,
}

// Asked is a scope parameter as this server understands it.
type Asked struct {
	Scopes Set    // by their canonical names; never empty
	Words  string // the names that were understood, in the order and spelling of the parameter, each once
}

// Ask reads a scope parameter that is not empty. fault describes a mistake in it, in characters that an
// error_description may hold; "" if nothing is. A parameter of which nothing is left is a fault: to read it as absent would
// grant more than was asked for.
func (c *Catalogue) Ask(parameter string) (a Asked, fault string) {
	set, err := ParseSet(parameter)
	if err != nil || set.Len() == 0 {
		return Asked{}, "scope is malformed: it is a list of names separated by spaces"
	}
	var words, canonical []string
	seen := map[string]bool{}
	for _, word := range split(parameter) {
		i, known := c.index[word]
		switch {
		case seen[word], !known && standard[word]:
		case !known && strings.Contains(word, ","):
			return Asked{}, "scope names an unknown scope that holds a comma; scopes are separated by spaces, not commas"
		case !known:
			return Asked{}, "scope names an unknown scope; the metadata lists the known ones, and spaces separate them"
		default:
			words, canonical = append(words, word), append(canonical, c.scopes[i].Name)
		}
		seen[word] = true
	}
	if len(words) == 0 {
		return Asked{}, "scope names no scope of this server: openid, profile, email, address, phone and offline_access are left out; " +
			"name another one, or send no scope for the default"
	}
	return Asked{newSet(canonical), strings.Join(words, " ")}, ""
}
