package e2e

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
)

// percent encodes every byte, as RFC 6749 §2.3.1 allows.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

// TestClientBasicEncoding_K1: HTTP Basic with every byte of id and secret percent-encoded, in either case of the hexadecimal digits,
// and with both as they are (as curl sends them): 200. A wrong secret that holds a plus sign for a space, stray percent
// signs or bytes outside ASCII: 401 invalid_client, never a 500. At the token, revocation and introspection endpoints.
func TestClientBasicEncoding_K1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		id, good := e.A.ID, e.A.Secret
		for name, c := range map[string]struct {
			id, secret string
			check      func(t *testing.T, a harness.Answer)
		}{
			"encoded":                {percent(id), percent(good), wantOK},
			"encoded in upper case":  {strings.ToUpper(percent(id)), strings.ToUpper(percent(good)), wantOK},
			"secret encoded":         {id, percent(good), wantOK},
			"as they are":            {id, good, wantOK},
			"plus in a wrong secret": {id, "wrong+secret", wantInvalidClient},
			"plus before the right":  {id, "+" + good, wantInvalidClient},
			"plus for a character":   {id, good[:20] + "+" + good[21:], wantInvalidClient},
			"plus in the id":         {id + "+", good, wantInvalidClient},
			"stray percent":          {id, good + "%", wantInvalidClient},
			"half an escape":         {id, "%4", wantInvalidClient},
			"no hexadecimal":         {id + "%zz", "%zz", wantInvalidClient},
			"encoded NUL":            {id + "%00", good + "%00", wantInvalidClient},
			"NUL":                    {id + "\x00", good + "\x00", wantInvalidClient},
			"encoded twice":          {percent(percent(id)), percent(percent(good)), wantInvalidClient},
			"not UTF-8":              {"\xff\xfe", "\xff\xfe", wantInvalidClient},
			"not UTF-8, encoded":     {"%ff%fe", "%c0%ae", wantInvalidClient},
			"colons":                 {id, good + ":" + good, wantInvalidClient},
			"very long":              {strings.Repeat("a", 10_000), strings.Repeat("%41", 10_000), wantInvalidClient},
		} {
			t.Run(name, func(t *testing.T) {
				eachProtected(t, e, nil, []string{"Authorization", harness.Basic(c.id, c.secret)}, c.check)
			})
		}
	})
}

// TestClientMalformedHeader_K9: Authorization headers that are no Basic credentials: bad base64, base64 without a colon, without
// padding, in the URL alphabet, "Basic" alone, an empty header, Digest, Bearer, Negotiate, a tab, bytes outside ASCII: 401
// invalid_client. Two Authorization headers: 400 invalid_request. Sent byte by byte over TCP to every endpoint that
// authenticates; never a 500. Two spaces after Basic are legal (RFC 9110 §11.4): 200. A Bearer header, which interceptors of
// browser apps add to every request, is ignored beside a client's own credentials: 200.
func TestClientMalformedHeader_K9(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		basic := harness.Basic(e.A.ID, e.A.Secret)
		encoded := strings.TrimPrefix(basic, "Basic ")
		unpadded := "Basic " + base64.RawStdEncoding.EncodeToString([]byte(e.A.ID+":x"))
		for name, c := range map[string]struct {
			lines []string
			check func(t *testing.T, a harness.Answer)
		}{
			"bad base64":          {[]string{"Authorization: Basic %%%"}, wantInvalidClient},
			"cut":                 {[]string{"Authorization: " + basic[:len(basic)-3]}, wantInvalidClient},
			"no padding":          {[]string{"Authorization: " + unpadded}, wantInvalidClient},
			"URL alphabet":        {[]string{"Authorization: Basic _-__"}, wantInvalidClient},
			"no colon":            {[]string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(e.A.ID))}, wantInvalidClient},
			"Basic alone":         {[]string{"Authorization: Basic"}, wantInvalidClient},
			"Basic and a space":   {[]string{"Authorization: Basic "}, wantInvalidClient},
			"empty":               {[]string{"Authorization:"}, wantInvalidClient},
			"no scheme":           {[]string{"Authorization: " + encoded}, wantInvalidClient},
			"Digest":              {[]string{`Authorization: Digest username="` + e.A.ID + `", response="x"`}, wantInvalidClient},
			"Bearer":              {[]string{"Authorization: Bearer " + e.A.Secret}, wantInvalidClient},
			"Negotiate":           {[]string{"Authorization: Negotiate " + encoded}, wantInvalidClient},
			"two spaces":          {[]string{"Authorization: Basic  " + encoded}, wantOK},
			"tab":                 {[]string{"Authorization: Basic\t" + encoded}, wantInvalidClient},
			"two in one":          {[]string{"Authorization: " + basic + ", " + basic}, wantInvalidClient},
			"outside ASCII":       {[]string{"Authorization: Basic \xff\xfe\xfd"}, wantInvalidClient},
			"very long":           {[]string{"Authorization: Basic " + strings.Repeat("QUFB", 12_000)}, wantInvalidClient},
			"two headers":         {[]string{"Authorization: " + basic, "Authorization: " + basic}, wantInvalidRequest},
			"two, one of them no": {[]string{"Authorization: Digest x", "authorization: " + basic}, wantInvalidRequest},
			"two, one empty":      {[]string{"Authorization: " + basic, "Authorization:"}, wantInvalidRequest},
		} {
			t.Run(name, func(t *testing.T) {
				for path, body := range protected {
					c.check(t, e.With(t).Raw(path, body, c.lines...))
				}
			})
		}
		for path, body := range protected { // the way of sending is sound
			wantOK(t, e.Raw(path, body, "Authorization: "+basic))
		}
		for path, body := range protected {
			for _, header := range []string{"Authorization: Bearer " + e.A.Secret, "Authorization: bearer x", "Authorization: Bearer", "Authorization:"} {
				wantOK(t, e.Raw(path, body+"&"+e.A.As().Encode(), header))
			}
		}
		if strings.Contains(e.Log.String(), "panic") {
			t.Error("a handler panicked")
		}
	})
}
