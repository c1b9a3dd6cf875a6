package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// holder has secrets in every kind of field.
type holder struct {
	Credential Credential
	Refresh    UserRefresh
	Password   Text
	Pointer    *Credential
	List       []Text
	Map        map[string]Credential
	Any        any
}

// closed has them in unexported fields, where fmt cannot call their methods.
type closed struct {
	credential Credential
	refresh    UserRefresh
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	c, u, p := Format{}.New(Access), NewUserRefresh(NewUserID()), Text("correct horse battery staple")
	h := holder{c, u, p, &c, []Text{p}, map[string]Credential{"x": c}, p}
	var printed strings.Builder
	for _, v := range []any{c, &c, u, &u, p, &p, h, &h, []any{c, u, p}, closed{c, u}, &closed{c, u}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%10.3s", "% x"} {
			fmt.Fprintf(&printed, verb+"\n", v)
		}
		fmt.Fprintln(&printed, v, fmt.Errorf("failed: %v", v))
	}
	opts := &slog.HandlerOptions{Level: slog.LevelDebug}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&printed, opts), slog.NewTextHandler(&printed, opts)} {
		l := slog.New(handler)
		l.Info("secrets", "c", c, "u", u, "p", p, "h", h, "pc", &c, "closed", closed{c, u}, slog.Group("g", "c", c))
	}
	doc, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(doc)
	if doc, err = xml.Marshal([]any{c, u, p}); err != nil {
		t.Fatal(err)
	}
	printed.Write(doc)

	out := printed.String()
	secretC, secretU := c.Reveal()[27:70], u.Reveal()[57:]
	for name, leak := range map[string]string{
		"credential":                c.Reveal(),
		"secret part":               secretC,
		"secret part in hex":        fmt.Sprintf("%x", secretC),
		"secret part as bytes":      strings.Trim(fmt.Sprint([]byte(secretC)), "[]"),
		"refresh token":             u.Reveal(),
		"refresh secret":            secretU,
		"refresh secret as bytes":   strings.Trim(fmt.Sprint((*u.secret)[:]), "[]"),
		"password":                  p.Reveal(),
		"beginning of the password": "cor",
		"password in hex":           fmt.Sprintf("%x", p.Reveal()),
	} {
		if strings.Contains(out, leak) {
			t.Errorf("the %s is printed", name)
		}
	}
	if !strings.Contains(out, redacted) {
		t.Error("no placeholder is printed")
	}
	for _, v := range []fmt.Stringer{c, u, p} {
		if v.String() != redacted || v.(fmt.GoStringer).GoString() != redacted {
			t.Errorf("%T does not print %s", v, redacted)
		}
	}
}

func TestText_JSON(t *testing.T) {
	t.Parallel()
	var form struct {
		Password Text `json:"password"`
	}
	if err := json.Unmarshal([]byte(`{"password":"t0pZ3kR3t"}`), &form); err != nil || form.Password.Reveal() != "t0pZ3kR3t" {
		t.Errorf("decoded %d characters, %v", len(form.Password), err)
	}
}

func TestCredential_Zero(t *testing.T) {
	t.Parallel()
	var c Credential
	var u UserRefresh
	if c.Reveal() != "" || c.Hint() != "" || c.Hash() != [32]byte{} || u.Reveal() != "" || u.Hash() != [32]byte{} {
		t.Error("a zero credential has text, hint or hash")
	}
	if _, err := c.Seal(nil, "x"); !errors.Is(err, ErrNoSecret) {
		t.Errorf("Seal: %v", err)
	}
	if _, err := u.Open(nil, "x"); !errors.Is(err, ErrNoSecret) {
		t.Errorf("Open: %v", err)
	}
}

func TestSeal(t *testing.T) {
	t.Parallel()
	type sealer interface {
		Seal(plain []byte, context string) ([]byte, error)
		Open(sealed []byte, context string) ([]byte, error)
	}
	reparsed := func(c Credential) Credential {
		back, ok := Format{}.Parse(c.Reveal())
		if !ok {
			t.Fatal("credential does not parse")
		}
		return back
	}
	c, u := Format{}.New(Refresh), NewUserRefresh(NewUserID())
	for name, pair := range map[string][3]sealer{
		"credential":   {c, reparsed(c), Format{}.New(Refresh)},
		"user refresh": {u, u, NewUserRefresh(u.UserID)},
	} {
		plain := []byte(`{"access_token":"…"}`)
		one, err := pair[0].Seal(plain, "grace")
		if err != nil {
			t.Fatal(err)
		}
		two, err := pair[0].Seal(plain, "grace")
		if err != nil || bytes.Equal(one, two) || len(one) != len(plain)+28 || bytes.Contains(one, plain) {
			t.Errorf("%s: the same result twice, plain text, or another length (%v)", name, err)
		}
		if got, err := pair[1].Open(one, "grace"); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: Open = %q, %v", name, got, err)
		}
		if _, err := pair[1].Open(one, "other"); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: another context opens it (%v)", name, err)
		}
		if _, err := pair[2].Open(one, "grace"); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: another secret opens it (%v)", name, err)
		}
		for i := range one {
			bad := bytes.Clone(one)
			bad[i] ^= 1
			if _, err := pair[0].Open(bad, "grace"); !errors.Is(err, ErrSealed) {
				t.Fatalf("%s: byte %d changed still opens (%v)", name, i, err)
			}
		}
		for _, n := range []int{0, 11, 27} {
			if _, err := pair[0].Open(one[:n], "grace"); !errors.Is(err, ErrSealed) {
				t.Errorf("%s: %d bytes open (%v)", name, n, err)
			}
		}
	}
}
