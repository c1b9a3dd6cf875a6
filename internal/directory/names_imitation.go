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

// Names that people choose are shown to other people, who rely on them: the name of an app on its consent page, and the name of
// a person as the publisher of the apps of their account. Names that the operator enters are not checked here, because the
// operator knows the person or app.

// claims are words with which a name claims to be trustworthy, in the form of wordsOf; an honest denial is none.
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

// imitationFault explains why a name must not be shown to other people, or is "". The name may resemble verified apps of
// the given accounts. The sentence is for the person who chose the name.
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

// decorationFault is the part of imitationFault that depends on the name alone.
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

// serviceLabels start the host of a log-in service and are not part of its known name.
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

// legalForms end the names of companies and do not distinguish them.
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
// should see them before verifying the app.
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

// likeVerified compares a name with those of verified apps and their accounts, except in the given accounts.
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
