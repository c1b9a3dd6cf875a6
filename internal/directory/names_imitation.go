package directory

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"xenoauth/internal/confusable"
	"xenoauth/store"
)

// Names that people choose for themselves are shown to others, who decide by them: an app's on its consent page, and a
// person's as the publisher of their account's apps. Names that an operator enters are not checked here, because the
// operator knows whose name it is.

// claims are words by which a name vouches for itself, in the form of wordsOf; an honest denial is none.
var (
	claims = []string{"verified", "official", "oficial", "offiziell", "officiel", "ufficiale", "verifiziert", "verifie", "verificado", "verificato",
		"certified", "zertifiziert", "geprüft", "certifie", "certificado", "certificato", "проверено", "официальн", "认证", "認証", "官方", "公式"}
	denied = strings.NewReplacer("unverified", "", "unofficial", "", "inoffiziell", "", "nonofficial", "", "notofficial", "", "uncertified", "", "非公式", "")
	badges = "✓✔☑✅🗸🗹🛡🔒🔏🔐"
)

// namesProduct reports whether a name holds ours, in letters that pass for it.
func namesProduct(name string) bool {
	ours := confusable.Keys(product)
	return strings.Contains(foldName(name), product) || strings.Contains(confusable.Keys(name)[1], ours[1])
}

// imitationFault explains why a name must not be shown to other people, or is "". accounts are whose verified apps it may be
// called like. The sentence is for the person who chose the name.
func (d *Directory) imitationFault(ctx context.Context, name string, accounts ...string) (string, error) {
	if fault := d.decorationFault(name); fault != "" {
		return fault, nil
	}
	verified, err := d.store.VerifiedNames(ctx)
	if err != nil {
		return "", fmt.Errorf("compare the name with those of verified apps: %w", err)
	}
	return likeVerified(name, verified, accounts), nil
}

// decorationFault is imitationFault as far as the name alone shows it.
func (d *Directory) decorationFault(name string) string {
	if written, usual, found := confusable.Styled(name); found {
		return fmt.Sprintf("Use %q instead of %q: styled letters can make one name look like another.", usual, string(written))
	}
	for _, word := range confusable.Words(name) {
		if confusable.Mixed(word) {
			return fmt.Sprintf("The word “%s” mixes look-alike letters from several scripts. Write it in one script.", word)
		}
	}
	letters := confusable.Keys(name)[1]
	for _, own := range d.ownNames() {
		if strings.Contains(letters, own) {
			return "Choose a name without the name of this service, so that people don’t mistake it for part of the service."
		}
	}
	if strings.ContainsAny(name, badges) {
		return "Remove the check mark: this service itself shows whether an app is verified."
	}
	undenied := denied.Replace(letters)
	for _, claim := range claims {
		if strings.Contains(undenied, confusable.Keys(claim)[1]) {
			return "Remove words such as “official” or “verified”: this service itself shows whether an app is verified."
		}
	}
	return ""
}

// serviceLabels begin the host of a log-in service and are not what people know it by.
var serviceLabels = []string{"id.", "auth.", "login.", "sso.", "oauth.", "account.", "accounts.", "api.", "my.", "app.", "www."}

// ownNames are keys of the names that stand for this service: the product's, and the host of the issuer.
func (d *Directory) ownNames() []string {
	names := []string{confusable.Keys(product)[1]}
	if _, err := netip.ParseAddr(strings.Trim(d.own.host, "[]")); err == nil || !strings.Contains(d.own.host, ".") {
		return names
	}
	hosts := []string{d.own.host}
	for _, label := range serviceLabels {
		if rest, found := strings.CutPrefix(d.own.host, label); found && strings.Contains(rest, ".") {
			hosts = append(hosts, rest)
		}
	}
	for _, host := range hosts {
		names = append(names, confusable.Keys(host)[1])
	}
	return names
}

// legalForms end the names of companies without telling them apart.
var legalForms = []string{"inc", "llc", "ltd", "limited", "gmbh", "ag", "corp", "corporation", "co", "company", "plc", "bv", "sa", "sarl", "srl", "oy", "ab", "as", "app"}

// withoutForm takes legal forms off the end of a name, as in "Zapier, Inc.".
func withoutForm(name string) string {
	words := confusable.Words(name)
	for len(words) > 1 {
		last := strings.ToLower(words[len(words)-1])
		if !slices.Contains(legalForms, last) {
			break
		}
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return name
	}
	return strings.Join(words, " ")
}

// Lookalikes lists the verified apps of other accounts that the app's name or publisher can be taken for. An operator
// should see them before vouching for it.
func (d *Directory) Lookalikes(ctx context.Context, a store.App) ([]store.VerifiedName, error) {
	verified, err := d.store.VerifiedNames(ctx)
	if err != nil {
		return nil, fmt.Errorf("compare the name with those of verified apps: %w", err)
	}
	return slices.DeleteFunc(verified, func(v store.VerifiedName) bool {
		one := []store.VerifiedName{v}
		return likeVerified(a.Name, one, []string{a.AccountID}) == "" && likeVerified(a.AccountName, one, []string{a.AccountID}) == ""
	}), nil
}

// likeVerified compares a name with those of verified apps and their accounts, but for those of the accounts given.
func likeVerified(name string, verified []store.VerifiedName, accounts []string) string {
	keys := confusable.Keys(withoutForm(name))
	for _, v := range verified {
		if slices.Contains(accounts, v.AccountID) {
			continue
		}
		for _, theirs := range []string{v.Name, v.AccountName} {
			if confusable.Alike(keys, confusable.Keys(withoutForm(theirs))) {
				return "This name looks like that of a verified app or its publisher. Choose one that cannot be mistaken for it."
			}
		}
	}
	return ""
}
