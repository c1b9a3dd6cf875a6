package scope

import "strings"

// standard are the scopes of OpenID Connect Core (§3.1.2.1, §5.4, §11), which many client libraries add to every request. If
// the catalogue does not have them, they are ignored (RFC 6749 §3.3), because refusing them would refuse those clients.
var standard = map[string]bool{
	"openid": true, "profile": true, "email": true, "address": true, "phone": true, "offline_access": true,
}

// Asked is a parsed scope parameter.
type Asked struct {
	Scopes Set    // by their canonical names; never empty
	Words  string // the recognized names, in the order and spelling of the parameter, each once
}

// Ask parses a scope parameter that is not empty. fault describes a mistake in it, in characters that an
// error_description may contain; "" if there is none. A parameter that contains only ignored scopes is a fault: treating it
// as absent would grant more than was requested.
func (c *Catalogue) Ask(parameter string) (a Asked, fault string) {
	set, err := ParseSet(parameter)
	if err != nil || set.Len() == 0 {
		return Asked{}, "scope is malformed; send names separated by spaces"
	}
	var words, canonical []string
	seen := map[string]bool{}
	for _, word := range split(parameter) {
		i, known := c.index[word]
		switch {
		case seen[word], !known && standard[word]:
		case !known && strings.Contains(word, ","):
			return Asked{}, "scope includes an unknown scope with a comma; separate scopes with spaces, not commas"
		case !known:
			return Asked{}, "scope includes an unknown scope; see scopes_supported in the metadata, and separate scopes with spaces"
		default:
			words, canonical = append(words, word), append(canonical, c.scopes[i].Name)
		}
		seen[word] = true
	}
	if len(words) == 0 {
		return Asked{}, "scope includes no scope of this server: openid, profile, email, address, phone and offline_access are ignored; " +
			"add another one, or omit scope to get the default"
	}
	return Asked{newSet(canonical), strings.Join(words, " ")}, ""
}
