package secret

import (
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mint builds a credential text from its parts with a correct checksum,
// independently of the package: with math/big and hash/crc32.
func mint(prefix, kind, id, random string) string {
	text := prefix + kind + "_" + id + random
	sum := new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(text))))
	return text + toBase62(sum, 6)
}

// toBase62 writes n in the alphabet of docs/credentials.md; big.Int puts lower case
// before upper case, so the letters are swapped.
func toBase62(n *big.Int, width int) string {
	swapped := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, n.Text(62))
	return strings.Repeat("0", max(0, width-len(swapped))) + swapped
}

var (
	random43 = strings.Repeat("Xy9", 14) + "Z"
	id22     = strings.Repeat("0", 21) + "7"
)

func TestParse(t *testing.T) {
	t.Parallel()
	two := new(big.Int).Lsh(big.NewInt(1), 128)
	most := toBase62(new(big.Int).Sub(two, big.NewInt(1)), 22)
	good := mint("xno", "a", id22, random43)
	tests := map[string]struct {
		text string
		want bool
	}{
		"as minted":                {good, true},
		"each letter is a kind":    {mint("xno", "q", id22, random43), true},
		"id zero":                  {mint("xno", "a", strings.Repeat("0", 22), random43), true},
		"id 2^128-1":               {mint("xno", "a", most, random43), true},
		"id 2^128":                 {mint("xno", "a", toBase62(two, 22), random43), false},
		"id of all z":              {mint("xno", "a", strings.Repeat("z", 22), random43), false},
		"id not padded":            {mint("xno", "a", id22[1:], random43), false},
		"empty":                    {"", false},
		"unknown kind":             {mint("xno", "z", id22, random43), false},
		"upper-case kind":          {mint("xno", "A", id22, random43), false},
		"other prefix":             {mint("abc", "a", id22, random43), false},
		"upper-case prefix":        {mint("XNO", "a", id22, random43), false},
		"no separator":             {strings.Replace(good, "_", "-", 1), false},
		"one character short":      {good[:len(good)-1], false},
		"one character more":       {good + "0", false},
		"leading space":            {" " + good, false},
		"trailing newline":         {good + "\n", false},
		"character beyond base62":  {mint("xno", "a", id22, random43[:42]+"-"), false},
		"byte beyond ASCII":        {mint("xno", "a", id22, random43[:41]+"é"), false},
		"id beyond base62":         {mint("xno", "a", id22[:21]+"+", random43), false},
		"checksum beyond base62":   {good[:len(good)-1] + "!", false},
		"checksum of another text": {good[:len(good)-6] + "000000", false},
		"megabytes":                {strings.Repeat(good, 1<<16), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, ok := Format{}.Parse(tt.text)
			if ok != tt.want {
				t.Fatalf("Parse = %v, want %v", ok, tt.want)
			}
			if ok && c.Reveal() != tt.text {
				t.Errorf("Reveal = %q, want the parsed text", c.Reveal())
			}
			if !ok && c != (Credential{}) {
				t.Error("a refused text returned a credential that is not zero")
			}
		})
	}
}

func TestParse_ChangedCharacter(t *testing.T) {
	t.Parallel()
	text := Format{}.New(Refresh).Reveal()
	for i := range len(text) {
		for _, c := range []byte(alphabet + "_- \x00\xff") {
			flipped := text[:i] + string([]byte{c}) + text[i+1:]
			if c == text[i] {
				continue
			}
			if _, ok := (Format{}).Parse(flipped); ok {
				t.Fatalf("character %d changed to %q is accepted", i, c)
			}
		}
		if i > 0 && text[i] != text[i-1] {
			b := []byte(text)
			b[i], b[i-1] = b[i-1], b[i]
			if _, ok := (Format{}).Parse(string(b)); ok {
				t.Fatalf("characters %d and %d swapped are accepted", i-1, i)
			}
		}
	}
}

func TestNewFormat(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prefixes []string
		faults   int
	}{
		"none":         {nil, 0},
		"two":          {[]string{"acme", "xno"}, 0},
		"eight":        {[]string{"abcdefgh"}, 0},
		"nine":         {[]string{"abcdefghi"}, 1},
		"empty":        {[]string{""}, 1},
		"upper case":   {[]string{"Xno"}, 1},
		"inner hyphen": {[]string{"x-o"}, 1},
		"all at once":  {[]string{"", "x1", "a", "a"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewFormat(tt.prefixes...)
			faults := 0
			if err != nil {
				faults = strings.Count(err.Error(), "\n") + 1
			}
			if faults != tt.faults {
				t.Errorf("%d faults (%v), want %d", faults, err, tt.faults)
			}
		})
	}
}

func TestFormat_Prefixes(t *testing.T) {
	t.Parallel()
	f, err := NewFormat("acme", "xno", "acm")
	if err != nil {
		t.Fatal(err)
	}
	if text := f.New(Code).Reveal(); !strings.HasPrefix(text, "acmec_") {
		t.Errorf("minted %.8q…, want acmec_", text)
	}
	for _, p := range []string{"acme", "xno", "acm"} {
		text := mint(p, "c", id22, random43)
		if c, ok := f.Parse(text); !ok || c.Reveal() != text {
			t.Errorf("prefix %s is not accepted", p)
		}
	}
	if _, ok := f.Parse(mint("xn", "c", id22, random43)); ok {
		t.Error("a prefix that is not listed is accepted")
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, k := range []Kind{Access, Expiring, Refresh, Code, Client, APIKey, Bot, Integration, Registration, Request} {
		c := Format{}.New(k)
		text := c.Reveal()
		back, ok := Format{}.Parse(text)
		if !ok || back.Kind != k || back.ID != c.ID || back.Hash() != c.Hash() {
			t.Errorf("%v: does not parse as minted", k)
		}
		if len(text) != 76 || text[3] != byte(k) || text[5:27] != c.ID.String() {
			t.Errorf("%v: text has another form", k)
		}
		if want := sha256.Sum256([]byte(text[27:70])); c.Hash() != want {
			t.Errorf("%v: Hash is not the SHA-256 of the 43 characters", k)
		}
		if !strings.HasSuffix(text, c.Hint()) || len(c.Hint()) != 4 {
			t.Errorf("%v: Hint = %q, want the last four characters", k, c.Hint())
		}
		if k.String() == "unknown" {
			t.Errorf("%c has no name", k)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("New of an unknown kind did not panic")
		}
	}()
	Format{}.New('z')
}

// TestEntropy: many samples are unique in id, secret and text, the secret has at
// least 160 bits, and all characters are equally likely.
func TestEntropy(t *testing.T) {
	t.Parallel()
	const samples = 100_000
	if bits := secretLen * math.Log2(float64(len(alphabet))); bits < 160 {
		t.Fatalf("the secret part has %.0f bits, want 160 or more", bits)
	}
	seen := make(map[string]bool, 2*samples)
	counts := make(map[byte]float64, 62)
	for range samples {
		text := Format{}.New(Access).Reveal()
		for _, part := range []string{text[5:27], text[27:70]} {
			if seen[part] {
				t.Fatal("an id or secret occurred twice")
			}
			seen[part] = true
		}
		for i := 27; i < 70; i++ {
			counts[text[i]]++
		}
	}
	// Chi-squared with 61 degrees of freedom exceeds 150 once in 10^9 runs; a
	// modulo of a byte would give some 25,000.
	want, chi := float64(samples*secretLen)/62, 0.0
	for i := range alphabet {
		d := counts[alphabet[i]] - want
		chi += d * d / want
	}
	if len(counts) != 62 || chi > 150 {
		t.Errorf("%d characters, chi-squared %.0f: not drawn uniformly", len(counts), chi)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	c := Format{}.New(Client)
	hash := c.Hash()
	other := Format{}.New(Client).Hash()
	zero := sha256.Sum256(nil)
	for name, tt := range map[string]struct {
		c    Credential
		hash []byte
		want bool
	}{
		"its own":                  {c, hash[:], true},
		"another's":                {c, other[:], false},
		"nil":                      {c, nil, false},
		"empty":                    {c, []byte{}, false},
		"short":                    {c, hash[:31], false},
		"long":                     {c, append(bytes.Clone(hash[:]), 0), false},
		"zero credential":          {Credential{}, hash[:], false},
		"zero credential and hash": {Credential{}, make([]byte, 32), false},
		"hash of nothing":          {Credential{}, zero[:], false},
	} {
		if got := tt.c.Matches(tt.hash); got != tt.want {
			t.Errorf("%s: Matches = %v, want %v", name, got, tt.want)
		}
	}
}

func TestParse_Allocations(t *testing.T) {
	text := Format{}.New(Access).Reveal()
	garbage := strings.Repeat("x", 1<<20)
	if n := testing.AllocsPerRun(100, func() { Format{}.Parse(text) }); n > 1 {
		t.Errorf("a valid text takes %.0f allocations, want at most 1", n)
	}
	if n := testing.AllocsPerRun(100, func() { Format{}.Parse(garbage) }); n > 0 {
		t.Errorf("an invalid text takes %.0f allocations, want none", n)
	}
}

// credentialText is the text of a credential as docs/credentials.md has it, without the limits on the id and the checksum.
var credentialText = regexp.MustCompile(`^([a-z]{1,8})([aercskbigq])_([0-9A-Za-z]{22})([0-9A-Za-z]{43})([0-9A-Za-z]{6})$`)

// maxID is 2^128-1; texts of one length sort as numbers do.
var maxID = toBase62(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)), idLen)

// FuzzParse: Parse accepts exactly the texts that mint can write, and Reveal returns them. It accepts a credential of any kind,
// id and secret, and refuses it after one of its characters changed.
func FuzzParse(f *testing.F) {
	good := mint("xno", "a", id22, random43)
	f.Add(good, "", uint8(0), uint8(0))
	f.Add(mint("acme", "r", id22, random43), random43, uint8(3), uint8('A'))
	f.Add(mint("xno", "a", strings.Repeat("z", 22), random43), strings.Repeat("\xff", 60), uint8(5), uint8('0'))
	f.Add(good[:75], strings.Repeat("\x00", 60), uint8(26), uint8('-'))
	f.Add("", "\x01", uint8(75), uint8('\n'))
	f.Add("xnoa_", "k", uint8(70), uint8(0xff))
	// 2^128-1 and 2^128, as mintOf reads them: alphabet[b%62] of these bytes.
	f.Add("", "a"+strings.Map(func(r rune) rune { return rune(strings.IndexRune(alphabet, r)) }, maxID), uint8(22), uint8('8'))
	f.Add("", "a"+strings.Map(func(r rune) rune { return rune(strings.IndexRune(alphabet, r)) }, maxID[:21]+"8"), uint8(0), uint8('x'))
	both, err := NewFormat("acme", "xno", "x")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s, parts string, place, other uint8) {
		for _, format := range []Format{{}, both} {
			checkParse(t, format, s)
		}
		text, fits := mintOf(parts)
		if c, ok := both.Parse(text); ok != fits || ok && c.Reveal() != text {
			t.Fatalf("%q: accepted %v, want %v", text, ok, fits)
		}
		if !fits {
			return
		}
		changed := []byte(text)
		changed[int(place)%len(changed)] = other
		if _, ok := both.Parse(string(changed)); ok != (string(changed) == text) {
			t.Fatalf("%q is accepted, like %q", changed, text)
		}
	})
}

// checkParse asserts that format accepts a text if and only if mint can write it.
func checkParse(t *testing.T, format Format, s string) {
	c, ok := format.Parse(s)
	want := false
	if p := credentialText.FindStringSubmatch(s); p != nil {
		known := p[1] == "xno" || len(format.prefixes) > 0 && slices.Contains(format.prefixes, p[1])
		want = p[3] <= maxID && known && mint(p[1], p[2], p[3], p[4]) == s
	}
	if ok != want {
		t.Fatalf("%q: accepted %v, want %v", s, ok, want)
	}
	if !ok {
		return
	}
	if c.Reveal() != s || !c.Kind.Valid() {
		t.Fatalf("%q is accepted, but Reveal returns %q", s, c.Reveal())
	}
	if h := c.Hash(); !c.Matches(h[:]) {
		t.Fatalf("%q does not match its own hash", s)
	}
}

// mintOf derives a credential from any bytes, and reports whether its id has at most 128 bits.
func mintOf(parts string) (string, bool) {
	bytes := make([]byte, 1+idLen+secretLen)
	copy(bytes, parts)
	kind := string("aercskbigq"[bytes[0]%10])
	for i, b := range bytes[1:] {
		bytes[1+i] = alphabet[b%62]
	}
	id, random := string(bytes[1:1+idLen]), string(bytes[1+idLen:])
	return mint("xno", kind, id, random), id <= maxID
}

func BenchmarkParse(b *testing.B) {
	text := Format{}.New(Access).Reveal()
	b.ReportAllocs()
	for b.Loop() {
		Format{}.Parse(text)
	}
}
