package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func TestParseQuery_Ambiguous(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"bad escape in a value": "redirect_uri=%zz",
		"bad escape in a name":  "%zz=1",
		"cut escape":            "a=%4",
		"semicolon":             "client_id=A;redirect_uri=B",
		"NUL":                   "state=%00",
		"NUL in a name":         "a%00=1",
		"0xff":                  "state=%ff",
		"overlong slash":        "state=%C0%AF",
		"lone surrogate":        "state=%ED%A0%80",
		"raw byte":              "state=\xff",
		"too many":              strings.Repeat("a=1&", maxParameters+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{URL: &url.URL{RawQuery: raw}}
			if _, err := ParseQuery(r); statusOf(err) != http.StatusBadRequest {
				t.Errorf("ParseQuery(%q) = %v, want a 400", raw, err)
			}
		})
	}
}

func TestParseQuery(t *testing.T) {
	t.Parallel()
	r := &http.Request{URL: &url.URL{RawQuery: "state=%26code%3Dx%2B&plus=a+b&emoji=%F0%9F%98%80&bidi=%E2%80%AE&quote='--&array%5B%5D=1&empty=&bare&&pct=%25s"}}
	v, err := ParseQuery(r)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"state": "&code=x+", "plus": "a b", "emoji": "😀", "bidi": "\u202e", "quote": "'--", "array[]": "1", "empty": "", "bare": "", "absent": "", "pct": "%s"} {
		if got := v.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestValues_Repeated(t *testing.T) {
	t.Parallel()
	r := &http.Request{URL: &url.URL{RawQuery: "b=1&a=1&a=1&c=&c=2&b=3"}}
	v, err := ParseQuery(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Repeated(); !slices.Equal(got, []string{"b", "a", "c"}) {
		t.Errorf("Repeated() = %q", got)
	}
	if err := v.OneValue("a", "b"); statusOf(err) != http.StatusBadRequest {
		t.Errorf("OneValue with a repeated c = %v, want a 400", err)
	}
	if err := v.OneValue("a", "b", "c"); err != nil {
		t.Errorf("OneValue = %v, want nil", err)
	}
	if v.Get("c") != "" {
		t.Error("Get is not the first value, which is empty")
	}
	many := &http.Request{URL: &url.URL{RawQuery: strings.Repeat("&a=1", maxParameters)}}
	if v, err := ParseQuery(many); err != nil || len(v.All("a")) != maxParameters {
		t.Errorf("the maximum number of parameters: %d, %v", len(v.All("a")), err)
	}
}

func post(body, contentType string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/x?query=ignored", strings.NewReader(body))
	r.Header.Del("Content-Type")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func TestParseBody(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		request *http.Request
		want    int // 0: accepted
	}{
		"form":             {post("a=1", form), 0},
		"form as UTF-8":    {post("a=1", form+"; charset=UTF-8"), 0},
		"upper case":       {post("a=1", "Application/X-WWW-Form-Urlencoded"), 0},
		"exactly 64 KB":    {post("a="+strings.Repeat("b", maxBody-2), form), 0},
		"64 KB and a byte": {post("a="+strings.Repeat("b", maxBody-1), form), http.StatusRequestEntityTooLarge},
		"UTF-16":           {post("a=1", form+"; charset=utf-16"), http.StatusUnsupportedMediaType},
		"no type":          {post("a=1", ""), http.StatusUnsupportedMediaType},
		"bad type":         {post("a=1", "a/b/c;;"), http.StatusUnsupportedMediaType},
		"plain text":       {post("a=1", "text/plain"), http.StatusUnsupportedMediaType},
		"multipart":        {post("a=1", "multipart/form-data; boundary=x"), http.StatusUnsupportedMediaType},
		"JSON":             {post(`{"a":"1"}`, "application/json"), http.StatusUnsupportedMediaType},
		"compressed":       {post("a=1", form, "Content-Encoding", "gzip"), http.StatusUnsupportedMediaType},
		"malformed":        {post("a=%zz", form), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := ParseBody(httptest.NewRecorder(), c.request)
			if statusOf(err) != c.want || (err == nil) != (c.want == 0) {
				t.Fatalf("ParseBody = %v, want status %d", err, c.want)
			}
			if err == nil && (v.Get("a") == "" || v.Get("query") != "") {
				t.Errorf("values %+v: want a from the body, and nothing from the URL", v)
			}
		})
	}
}

func TestParseFormOrJSON(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"object":         {`{"a":"1","b":"é"}`, 0},
		"surrogate pair": {`{"a":"\ud83d\ude00"}`, 0},
		"null":           {`{"a":null}`, http.StatusBadRequest},
		"number":         {`{"a":1}`, http.StatusBadRequest},
		"array":          {`{"a":["1"]}`, http.StatusBadRequest},
		"object within":  {`{"a":{}}`, http.StatusBadRequest},
		"deep":           {`{"a":` + strings.Repeat("[", 10000), http.StatusBadRequest},
		"list":           {`["a"]`, http.StatusBadRequest},
		"string":         {`"a"`, http.StatusBadRequest},
		"empty":          {``, http.StatusBadRequest},
		"cut":            {`{"a":"1"`, http.StatusBadRequest},
		"two documents":  {`{"a":"1"}{}`, http.StatusBadRequest},
		"rubbish after":  {`{"a":"1"}x`, http.StatusBadRequest},
		"not UTF-8":      {"{\"a\":\"\xff\"}", http.StatusBadRequest},
		"lone surrogate": {`{"a":"\ud800"}`, http.StatusBadRequest},
		"NUL":            {`{"a":"\u0000"}`, http.StatusBadRequest},
		"NUL in a name":  {`{"a\u0000":"1"}`, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseFormOrJSON(httptest.NewRecorder(), post(c.body, "application/json"))
			if statusOf(err) != c.want || (err == nil) != (c.want == 0) {
				t.Errorf("ParseFormOrJSON(%.40s) = %v, want status %d", c.body, err, c.want)
			}
		})
	}
	v, err := ParseFormOrJSON(httptest.NewRecorder(), post(`{"a":"1","a":"2"}`, "application/json; charset=utf-8"))
	if err != nil || !slices.Equal(v.Repeated(), []string{"a"}) {
		t.Errorf("repeated member: %v, Repeated() = %q", err, v.Repeated())
	}
}

// FuzzParseValues: the parser accepts exactly those inputs that the standard library reads the same way, that are text and within
// the limits. It keeps every value in order, and reads its own encoding back.
func FuzzParseValues(f *testing.F) {
	for _, seed := range []string{
		"a=1&b=2", "a=%zz", "a;b=1", "state=%00", "=&&=", "a=%F0%9F%98%80", "a=1&a=1", "%61=x+y", "a=\xff", "a=%ed%a0%80", "a=1&b=2&a=", "a%3Bb=%3b",
		strings.Repeat("a&", 40),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := parseValues(raw)
		if err != nil && (statusOf(err) != http.StatusBadRequest || len(v.Names()) != 0) {
			t.Fatalf("parseValues(%q) = %q, %v, want a 400 and no values", raw, v.Names(), err)
		}
		read, readErr := url.ParseQuery(raw)
		pairs := strings.FieldsFunc(raw, func(r rune) bool { return r == '&' })
		if want := readErr == nil && len(pairs) <= maxParameters && allText(read); want != (err == nil) {
			t.Fatalf("parseValues(%q): %v; the standard library: %v", raw, err, readErr)
		}
		if err != nil {
			return
		}
		if !maps.EqualFunc(v.values, read, slices.Equal) {
			t.Fatalf("parseValues(%q) = %q, want %q", raw, v.values, read)
		}
		checkValues(t, v, len(pairs))
		again, err := parseValues(v.Encode())
		if err != nil || !slices.Equal(again.Names(), v.Names()) || !maps.EqualFunc(again.values, v.values, slices.Equal) {
			t.Fatalf("%q became %q: %v", v.values, again.values, err)
		}
	})
}

// FuzzParseObject: the parser accepts exactly the objects whose members are strings of text, reads them like the standard
// library, and loses no member, repeated ones included.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{"a":"1"}`, `{"a":"1","a":"2"}`, `{"a":null}`, `{`, `{"a":"\ud800"}`, `{}x`, `[]`, `{"a":"1",}`, `{"a":"\u0000"}`, ` {"\ud83d\ude00" : "\/" } `, `{"a" "1"}`,
		`{"a":"ÿ"}`, `{"a":{"b":"1"}}`, `{"a":"1"}{"a":"2"}`, `{:"1"}`, `{"":""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := parseObject(body)
		if err != nil && (statusOf(err) != http.StatusBadRequest || len(v.Names()) != 0) {
			t.Fatalf("parseObject(%q) = %q, %v, want a 400 and no values", body, v.Names(), err)
		}
		var read map[string]any
		readErr := json.Unmarshal(body, &read)
		if err == nil && readErr != nil {
			t.Fatalf("parseObject(%q) accepted it; the standard library: %v", body, readErr)
		}
		strict := Values{}
		for name, value := range read {
			text, isString := value.(string)
			if ok := isString && isJSONText(name) && isJSONText(text); ok {
				strict.add(name, text)
			} else if err == nil {
				t.Fatalf("parseObject(%q) accepted %q: %v", body, name, value)
			}
		}
		if err == nil {
			checkValues(t, v, bytes.Count(body, []byte(":")))
			for name, all := range v.values {
				if all[len(all)-1] != read[name] {
					t.Fatalf("parseObject(%q) = %q, want %q", body, v.values, read)
				}
			}
			strict = v
		}
		again, err := parseObject(objectOf(strict))
		if want := len(strict.order) <= maxParameters; (err == nil) != want || want && (!slices.Equal(again.Names(), strict.Names()) || !maps.EqualFunc(again.values, strict.values, slices.Equal)) {
			t.Fatalf("%s became %q: %v", objectOf(strict), again.values, err)
		}
	})
}

// checkValues asserts the guarantees of accepted parameters, of which there are at most so many.
func checkValues(t *testing.T, v Values, most int) {
	total, repeated := 0, 0
	for _, name := range v.Names() {
		all := v.All(name)
		if len(all) > 1 {
			repeated++
		}
		if len(all) == 0 || v.Get(name) != all[0] || slices.Contains(v.Repeated(), name) != (len(all) > 1) {
			t.Fatalf("%q: %q; repeated are %q", name, all, v.Repeated())
		}
		total += len(all)
	}
	if !allText(v.values) || len(v.order) != len(v.values) || total > most || total > maxParameters {
		t.Fatalf("%q in the order %q are %d values of %d", v.values, v.order, total, most)
	}
	if (v.OneValue() == nil) != (repeated == 0) || v.OneValue(v.Repeated()...) != nil {
		t.Fatalf("%q: %v", v.values, v.OneValue())
	}
}

// allText is isText of every name and value, written independently.
func allText(values map[string][]string) bool {
	for name, all := range values {
		for _, s := range append([]string{name}, all...) {
			for i, r := range s {
				if r == 0 || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
					return false
				}
			}
		}
	}
	return true
}

// objectOf writes the values as JSON, repeated members included.
func objectOf(v Values) []byte {
	var members [][]byte
	for _, name := range v.order {
		for _, value := range v.values[name] {
			key, _ := json.Marshal(name)
			text, _ := json.Marshal(value)
			members = append(members, append(append(key, ':'), text...))
		}
	}
	return append(append([]byte{'{'}, bytes.Join(members, []byte{','})...), '}')
}
