package secret

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
)

// quick makes hashing cheap.
var quick = Params{Memory: 64, Time: 1, Threads: 1}

// The vectors of the reference implementation (phc-winner-argon2, test.c).
const (
	vector64M = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	vector256 = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	vectorP2  = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
)

func TestVerify_Vectors(t *testing.T) {
	t.Parallel()
	pw := NewPasswords(PasswordOptions{})
	for _, stored := range []string{vector64M, vector256, vectorP2} {
		ok, rehash, err := pw.Verify(t.Context(), stored, "password")
		if !ok || !rehash || err != nil {
			t.Errorf("%s: %v, %v, %v; want true, true, nil", stored, ok, rehash, err)
		}
		if ok, _, err := pw.Verify(t.Context(), stored, "Password"); ok || err != nil {
			t.Errorf("%s: another password gives %v, %v", stored, ok, err)
		}
	}
	got := argon2.IDKey([]byte("password"), []byte("somesalt"), 2, 65536, 1, 32)
	if hex.EncodeToString(got) != "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7" {
		t.Errorf("argon2id = %x", got)
	}
}

func TestHash_DefaultCost(t *testing.T) {
	t.Parallel()
	pw := NewPasswords(PasswordOptions{})
	stored, err := pw.Hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("Hash = %q, %v", stored, err)
	}
	if ok, rehash, err := pw.Verify(t.Context(), stored, "correct horse"); !ok || rehash || err != nil {
		t.Errorf("Verify = %v, %v, %v; want true, false, nil", ok, rehash, err)
	}
	again, err := pw.Hash(t.Context(), "correct horse")
	if err != nil || again == stored {
		t.Errorf("two hashes have the same salt (%v)", err)
	}
	if _, rehash, _ := NewPasswords(PasswordOptions{Params: quick}).Verify(t.Context(), stored, "correct horse"); !rehash {
		t.Error("rehash is false for a hash of another cost")
	}
}

func TestVerify_InvalidStoredHash(t *testing.T) {
	t.Parallel()
	const salt, key = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	pw := NewPasswords(PasswordOptions{Params: quick})
	for name, stored := range map[string]string{
		"text":                 "password",
		"bcrypt":               "$2b$12$abcdefghijklmnopqrstuv",
		"argon2i":              strings.Replace(vector256, "argon2id", "argon2i", 1),
		"version 16":           strings.Replace(vector256, "v=19", "v=16", 1),
		"no version":           strings.Replace(vector256, "v=19$", "", 1),
		"4 GB":                 "$argon2id$v=19$m=4194304,t=2,p=1$" + salt + "$" + key,
		"memory overflow":      "$argon2id$v=19$m=4294967552,t=2,p=1$" + salt + "$" + key,
		"just over the bound":  "$argon2id$v=19$m=262145,t=2,p=1$" + salt + "$" + key,
		"no memory":            "$argon2id$v=19$m=0,t=2,p=1$" + salt + "$" + key,
		"less than 8 a thread": "$argon2id$v=19$m=15,t=2,p=2$" + salt + "$" + key,
		"no passes":            "$argon2id$v=19$m=256,t=0,p=1$" + salt + "$" + key,
		"many passes":          "$argon2id$v=19$m=256,t=17,p=1$" + salt + "$" + key,
		"no threads":           "$argon2id$v=19$m=256,t=2,p=0$" + salt + "$" + key,
		"many threads":         "$argon2id$v=19$m=256,t=2,p=17$" + salt + "$" + key,
		"threads overflow":     "$argon2id$v=19$m=256,t=2,p=257$" + salt + "$" + key,
		"negative":             "$argon2id$v=19$m=-256,t=2,p=1$" + salt + "$" + key,
		"plus sign":            "$argon2id$v=19$m=+256,t=2,p=1$" + salt + "$" + key,
		"leading zero":         "$argon2id$v=19$m=0256,t=2,p=1$" + salt + "$" + key,
		"other order":          "$argon2id$v=19$t=2,m=256,p=1$" + salt + "$" + key,
		"more parameters":      "$argon2id$v=19$m=256,t=2,p=1,data=$" + salt + "$" + key,
		"short salt":           "$argon2id$v=19$m=256,t=2,p=1$c29tZQ$" + key,
		"no hash":              "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$",
		"short hash":           "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + key[:20],
		"long hash":            "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + strings.Repeat("A", 88),
		"padded base64":        "$argon2id$v=19$m=256,t=2,p=1$" + salt + "==$" + key,
		"stray base64 bits":    "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + key[:42] + "5",
		"trailing newline":     vector256 + "\n",
		"long":                 vector256 + strings.Repeat("A", 1<<20),
	} {
		if ok, rehash, err := pw.Verify(t.Context(), stored, "password"); ok || rehash || !errors.Is(err, ErrPasswordHash) {
			t.Errorf("%s: Verify = %v, %v, %v; want ErrPasswordHash", name, ok, rehash, err)
		}
	}
	for _, password := range []string{"", "password"} {
		if ok, rehash, err := pw.Verify(t.Context(), "", password); ok || rehash || err != nil {
			t.Errorf("an empty stored hash gives %v, %v, %v", ok, rehash, err)
		}
	}
}

func TestPasswords_ContextEnds(t *testing.T) {
	t.Parallel()
	pw := NewPasswords(PasswordOptions{Concurrency: 1, Params: quick})
	stored, err := pw.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	release, err := pw.queue.take(t.Context()) // the only slot is taken
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(nil)
	for name, call := range map[string]func() error{
		"Hash":        func() error { _, err := pw.Hash(ended, "correct horse"); return err },
		"Verify":      func() error { _, _, err := pw.Verify(ended, stored, "correct horse"); return err },
		"Verify none": func() error { _, _, err := pw.Verify(ended, "", "correct horse"); return err },
		"VerifyDummy": func() error { return pw.VerifyDummy(ended, "correct horse") },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	waiting, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- pw.VerifyDummy(waiting, "x") }()
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a waiting call ends with %v", err)
	}
	release()
	if err := pw.VerifyDummy(t.Context(), "x"); err != nil || pw.queue.free != 1 {
		t.Errorf("with a free slot: %v, %d slots free", err, pw.queue.free)
	}
	if err := pw.VerifyDummy(ended, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("computed with an ended context (%v)", err)
	}
}

func TestCheckNewPassword(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		password string
		want     error
	}{
		"eight":                   {"tr0ub4do", nil},
		"seven":                   {"tr0ub4d", ErrPasswordTooShort},
		"empty":                   {"", ErrPasswordTooShort},
		"1024":                    {strings.Repeat("long words ", 93) + "x", nil},
		"1025":                    {strings.Repeat("x", 1025), ErrPasswordTooLong},
		"not UTF-8":               {"tr0ub4do\xff", ErrPasswordNotText},
		"NUL":                     {"tr0u\x00b4do", ErrPasswordNUL},
		"eight, composed":         {"t\u00e4r\u00f6ub4d", nil},
		"seven, decomposed":       {"ta\u0308o\u0308ub4d", ErrPasswordTooShort},
		"spaces at the end":       {"  tr0ub  ", nil},
		"spaces":                  {"        ", ErrPasswordSpaces},
		"spaces of other scripts": {"\u3000\u3000\u2003\u2003\u00a0\u00a0\u00a0\u00a0", ErrPasswordSpaces},
		"one character":           {"kkkkkkkkkk", ErrPasswordRepeated},
		"three, repeated":         {"xy7xy7xy7x", ErrPasswordRepeated},
		"counted":                 {"12345678", ErrPasswordRepeated},
		"counted past nine":       {"1234567890", ErrPasswordRepeated},
		"counted down":            {"zyxwvuts", ErrPasswordRepeated},
		"common":                  {"qwertyuiop", ErrPasswordCommon},
		"common, capital":         {"Password", ErrPasswordCommon},
		"common and digits":       {"Welcome2026!", ErrPasswordCommon},
		"common twice":            {"dragondragon", ErrPasswordCommon},
		"words":                   {"correct horse", nil},
		"a common word in words":  {"my dragon eats cheese", nil},
		"e-mail address":          {"ada.lovelace@example.org", ErrPasswordPersonal},
		"before the @":            {"Ada.Lovelace", ErrPasswordPersonal},
		"name":                    {"Countess Ada", ErrPasswordPersonal},
	} {
		err := CheckNewPassword(tt.password, "ada.lovelace@example.org", "Countess Ada")
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		var fault *PasswordError
		if err != nil && (!errors.As(err, &fault) || !strings.HasSuffix(fault.Message, ".")) {
			t.Errorf("%s: %v is not a *PasswordError with a sentence", name, err)
		}
	}
	for name, want := range map[string]string{
		"tr0u\tb4do": "a control character (U+0009)", "tr0u\u200bb4do": "an invisible or unassigned character (U+200B)",
	} {
		if err := CheckNewPassword(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want that it names %s", name, err, want)
		}
		if _, err := NewPasswords(PasswordOptions{Concurrency: 1, Params: quick}).Hash(t.Context(), name); err == nil {
			t.Errorf("%q is hashed", name)
		}
	}
}

// TestPasswordForms: composed and decomposed letters, and spaces of other scripts, are the same password. A hash that an older
// version made of the text as typed still verifies, with rehash.
func TestPasswordForms(t *testing.T) {
	t.Parallel()
	pw := NewPasswords(PasswordOptions{Concurrency: 1, Params: quick})
	const composed, decomposed = "p\u00e4ssw\u00f6rd no. 7", "pa\u0308sswo\u0308rd\u00a0no. 7"
	for _, typed := range []string{composed, decomposed} {
		stored, err := pw.Hash(t.Context(), typed)
		if err != nil {
			t.Fatal(err)
		}
		for _, presented := range []string{composed, decomposed} {
			if ok, rehash, err := pw.Verify(t.Context(), stored, presented); !ok || rehash || err != nil {
				t.Errorf("%q against the hash of %q: %t, rehash %t, %v", presented, typed, ok, rehash, err)
			}
		}
	}
	for _, old := range []string{decomposed, "with a tab\there", "\ufb01rst and last"} {
		h := phc{params: pw.params, salt: make([]byte, saltLen)}
		h.key = argon2.IDKey([]byte(old), h.salt, h.params.Time, h.params.Memory, h.params.Threads, keyLen)
		ok, rehash, err := pw.Verify(t.Context(), h.String(), old)
		if !ok || err != nil || rehash != (old == decomposed) {
			t.Errorf("the old hash of %q: %t, rehash %t, %v", old, ok, rehash, err)
		}
		if ok, _, err := pw.Verify(t.Context(), h.String(), old+"x"); ok || err != nil {
			t.Errorf("another password against the old hash of %q: %t, %v", old, ok, err)
		}
	}
}

func TestNewPasswords_ParamsTooHigh(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	NewPasswords(PasswordOptions{Concurrency: 1, Params: Params{Memory: 1 << 22, Time: 1, Threads: 1}})
}

func FuzzParsePHC(f *testing.F) {
	f.Add(vector64M)
	f.Add(vectorP2)
	f.Add("$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parsePHC(s)
		if err != nil {
			return
		}
		if h.String() != s || h.params.Memory > maxMemory || h.params.Time > maxTime || h.params.Threads > maxThreads {
			t.Errorf("%q is accepted as %q", s, h)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	pw := NewPasswords(PasswordOptions{})
	for b.Loop() {
		if err := pw.VerifyDummy(b.Context(), "correct horse"); err != nil {
			b.Fatal(err)
		}
	}
}
