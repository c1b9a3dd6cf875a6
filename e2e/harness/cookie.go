package harness

import "net/http"

// Cookie is the value of a cookie that the browser keeps for the server, "" for none.
func (b *Browser) Cookie(name string) string {
	b.t.Helper()
	request, err := http.NewRequest(http.MethodGet, b.e.URL, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(request.URL) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}
