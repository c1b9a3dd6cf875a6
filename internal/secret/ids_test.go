package secret

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestID_String(t *testing.T) {
	t.Parallel()
	two := new(big.Int).Lsh(big.NewInt(1), 128)
	for name, n := range map[string]*big.Int{
		"zero":      big.NewInt(0),
		"one":       big.NewInt(1),
		"sixty-one": big.NewInt(61),
		"62^10-1":   big.NewInt(chunk - 1),
		"62^10":     big.NewInt(chunk),
		"2^64":      new(big.Int).Lsh(big.NewInt(1), 64),
		"62^20":     new(big.Int).Exp(big.NewInt(62), big.NewInt(20), nil),
		"2^127":     new(big.Int).Lsh(big.NewInt(1), 127),
		"2^128-1":   new(big.Int).Sub(two, big.NewInt(1)),
	} {
		text := toBase62(n, 22)
		id, ok := ParseID(text)
		if !ok || id.String() != text || new(big.Int).SetBytes(id.Bytes()).Cmp(n) != 0 {
			t.Errorf("%s: %s parses as %x (%v), String returns %s", name, text, id[:], ok, id)
		}
	}
	for name, text := range map[string]string{
		"2^128":          toBase62(two, 22),
		"2^128+1":        toBase62(new(big.Int).Add(two, big.NewInt(1)), 22),
		"the largest":    strings.Repeat("z", 22),
		"21 characters":  strings.Repeat("0", 21),
		"23 characters":  strings.Repeat("0", 23),
		"a sign":         "+" + strings.Repeat("0", 21),
		"empty":          "",
		"full-width one": strings.Repeat("0", 19) + "１",
	} {
		if id, ok := ParseID(text); ok {
			t.Errorf("%s: accepted as %x", name, id[:])
		}
	}
}

func TestNewID_Ascending(t *testing.T) {
	t.Parallel()
	before := time.Now().UnixMilli()
	var last ID
	for range 10_000 {
		id := NewID()
		if bytes.Compare(id[:], last[:]) <= 0 || id.String() <= last.String() {
			t.Fatalf("%x follows %x", id[:], last[:])
		}
		if id[6]>>4 != 7 || id[8]>>6 != 2 {
			t.Fatalf("%x is not a UUIDv7", id[:])
		}
		last = id
	}
	ms := new(big.Int).SetBytes(last[:6]).Int64()
	// Package uuid runs ahead of the clock by a fraction of a microsecond per id.
	if ms < before || ms > time.Now().UnixMilli()+1000 {
		t.Errorf("the id's time is %d, want near %d", ms, before)
	}
}

func TestID_BytesAndText(t *testing.T) {
	t.Parallel()
	id := NewID()
	back := ID(id.Bytes())
	if back != id {
		t.Errorf("Bytes = %v, want %v", back, id)
	}
	id.Bytes()[0] ^= 0xff
	if back != id {
		t.Error("Bytes shares its array with the id")
	}
	doc, err := json.Marshal(id)
	if err != nil || string(doc) != `"`+id.String()+`"` {
		t.Errorf("JSON is %s, %v", doc, err)
	}
	if err := json.Unmarshal(doc, &back); err != nil || back != id {
		t.Errorf("JSON decodes as %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`"short"`), &back); err == nil {
		t.Error("a short id is accepted from JSON")
	}
}

func TestPublicID(t *testing.T) {
	t.Parallel()
	a, b := NewPublicID("acc_"), NewPublicID("acc_")
	if len(a) != 26 || a >= b || strings.Contains(a, ".") {
		t.Errorf("ids %q, %q: want 26 characters, ascending, no dot", a, b)
	}
	for s, want := range map[string]bool{
		a:                                true,
		"acc_":                           false,
		"app_" + a[4:]:                   false,
		a + "0":                          false,
		a[:25]:                           false,
		"acc_" + strings.Repeat("z", 22): false,
		"":                               false,
	} {
		if got := ValidPublicID("acc_", s); got != want {
			t.Errorf("ValidPublicID(%q) = %v, want %v", s, got, want)
		}
	}
}

func TestUserID(t *testing.T) {
	t.Parallel()
	before := time.Now().UnixMilli()
	id := NewUserID()
	ms, err := strconv.ParseInt(id[:12], 16, 64)
	if err != nil || ms < before || ms > time.Now().UnixMilli() {
		t.Errorf("user id %s begins with %d (%v), want the time", id, ms, err)
	}
	seen := map[string]bool{}
	for range 10_000 {
		id := NewUserID()
		if seen[id] || !ValidUserID(id) {
			t.Fatalf("user id %s came twice or is not valid", id)
		}
		seen[id] = true
	}
	for _, s := range []string{"", id[:23], id + "0", strings.ToUpper("a" + id[1:]), "g" + id[1:], id[:23] + "\n"} {
		if ValidUserID(s) {
			t.Errorf("ValidUserID(%q) is true", s)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(strings.Repeat("0", 22))
	f.Add(strings.Repeat("z", 22))
	f.Add("7n42DGM5Tflk9n8mt7Fhc7")
	f.Add("7n42DGM5Tflk9n8mt7Fhc8")
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := ParseID(s); ok && id.String() != s {
			t.Errorf("%q is accepted, but String returns %q", s, id)
		}
	})
}
