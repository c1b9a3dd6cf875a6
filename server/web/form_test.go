package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func TestParseQueryRefusesWhatTwoParsersCouldReadInTwoWays(t *testing.T) {
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

func TestParseQueryKeepsWhatIsText(t *testing.T) {
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

func TestRepeatedCountsEveryOccurrence(t *testing.T) {
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
		t.Errorf("OneValue = %v, want nothing to blame", err)
	}
	if v.Get("c") != "" {
		t.Error("Get must be the first value, also if that is empty")
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

func TestParseBodyTakesFormsOnly(t *testing.T) {
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
				t.Errorf("values %+v: want a of the body and nothing of the URL", v)
			}
		})
	}
}

func TestParseFormOrJSONTakesOneObjectOfStrings(t *testing.T) {
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
		t.Errorf("a member given twice: %v, %q; want it reported as repeated", err, v.Repeated())
	}
}

// FuzzParseValues: whatever is accepted is text, nothing is dropped, and encoding it again gives the same values.
func FuzzParseValues(f *testing.F) {
	for _, seed := range []string{"a=1&b=2", "a=%zz", "a;b=1", "state=%00", "=&&=", "a=%F0%9F%98%80", "a=1&a=1", "%61=x+y", "a=\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := parseValues(raw)
		if err != nil {
			if statusOf(err) != http.StatusBadRequest {
				t.Fatalf("parseValues(%q) = %v, want a 400", raw, err)
			}
			return
		}
		again := url.Values{}
		for _, name := range v.order {
			for _, value := range v.All(name) {
				if !isText(name) || !isText(value) {
					t.Fatalf("parseValues(%q) let through %q=%q", raw, name, value)
				}
				again.Add(name, value)
			}
		}
		pairs := len(slices.DeleteFunc(strings.Split(raw, "&"), func(p string) bool { return p == "" }))
		encoded, err := parseValues(again.Encode())
		if err != nil {
			t.Fatalf("parseValues(%q): %v", again.Encode(), err)
		}
		total := 0
		for _, name := range v.order {
			total += len(v.All(name))
			if !slices.Equal(v.All(name), encoded.All(name)) {
				t.Fatalf("%q: %q became %q", raw, v.All(name), encoded.All(name))
			}
		}
		if total != pairs {
			t.Fatalf("parseValues(%q) kept %d of %d values", raw, total, pairs)
		}
	})
}

// FuzzParseObject: whatever is accepted is text.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{`{"a":"1"}`, `{"a":"1","a":"2"}`, `{"a":null}`, `{`, `{"a":"\ud800"}`, `{}x`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := parseObject(body)
		if err != nil {
			if statusOf(err) != http.StatusBadRequest {
				t.Fatalf("parseObject(%q) = %v, want a 400", body, err)
			}
			return
		}
		for _, name := range v.order {
			for _, value := range v.All(name) {
				if !isText(name) || !isText(value) {
					t.Fatalf("parseObject(%q) let through %q=%q", body, name, value)
				}
			}
		}
	})
}
