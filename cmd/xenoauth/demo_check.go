package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// checkDemo runs the flow and prints each step with its time. The error names the step that failed.
func (p *program) checkDemo(ctx context.Context, d *demo) error {
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.serve(serving) }()
	err := p.walk(ctx, d)
	stop()
	return errors.Join(err, <-ended)
}

// walk runs the whole flow as a user and an app.
func (p *program) walk(ctx context.Context, d *demo) error {
	w, err := newWalker(d)
	if err != nil {
		return err
	}
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"the sample app shows its button", w.openApp},
		{"the button leads to the log-in page", w.connect},
		{"signed in as " + d.user.Email, w.signIn},
		{"the consent page names the app and its scopes", w.readConsent},
		{"allowed: the browser comes back with a code", w.allow},
		{"the app exchanges the code for a token", w.exchange},
		{"the token opens /api/me", w.useToken},
		{"the app is among the installed apps", w.findInstalled},
		{"removed", w.remove},
		{"the token is refused", w.refused},
	}
	begin := time.Now()
	for _, step := range steps {
		start := time.Now()
		if err := step.do(ctx); err != nil {
			p.printLine("✗ %s", step.name)
			return fmt.Errorf("demo: %s: %w", step.name, err)
		}
		p.printLine("✓ %-48s %8.1f ms", step.name, float64(time.Since(start).Microseconds())/1000)
	}
	p.printLine("all %d steps worked on %s in %d ms", len(steps), databaseName(d.database), time.Since(begin).Milliseconds())
	return nil
}

// walker is a minimal browser, with the values that later steps need.
type walker struct {
	demo   *demo
	client *http.Client
	page   webPage
	state  string // that the app sent to the authorization page
	code   string
	token  string
}

// webPage is the page that the browser shows.
type webPage struct {
	at     *url.URL
	status int
	body   string
	next   string // the target of a redirect to the app
}

func newWalker(d *demo) (*walker, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("create a cookie jar: %w", err)
	}
	w := &walker{demo: d}
	w.client = &http.Client{Jar: jar, Timeout: 10 * time.Second, CheckRedirect: w.followUp}
	return w, nil
}

// followUp follows redirects up to the app's callback, so that the walker can read the code.
func (w *walker) followUp(req *http.Request, via []*http.Request) error {
	if strings.HasPrefix(req.URL.String(), w.demo.app.redirectURI()+"?") {
		return http.ErrUseLastResponse
	}
	if req.URL.Path == "/oauth/authorize" && req.URL.Query().Get("state") != "" {
		w.state = req.URL.Query().Get("state")
	}
	if len(via) > 10 {
		return errors.New("more than 10 redirects")
	}
	return nil
}

func (w *walker) openApp(ctx context.Context) error {
	return w.open(ctx, w.demo.app.origin+"/")
}

func (w *walker) connect(ctx context.Context) error {
	return w.submit(ctx, "/connect", nil)
}

func (w *walker) signIn(ctx context.Context) error {
	return w.submit(ctx, "/login", url.Values{"email": {w.demo.user.Email}, "password": {w.demo.password}})
}

func (w *walker) readConsent(context.Context) error {
	if !strings.Contains(w.page.body, `action="/oauth/consent"`) {
		return fmt.Errorf("%s is not the consent page", w.page.at.Path)
	}
	scopes := strings.Fields(w.demo.app.scope)
	for _, s := range scopes {
		known, ok := w.demo.catalogue.Scope(s)
		if !ok || !strings.Contains(w.page.body, html.EscapeString(known.Title)) {
			return fmt.Errorf("the page does not explain the scope %s", s)
		}
	}
	if !strings.Contains(w.page.body, "Sample Shop") {
		return errors.New("the page does not name the app")
	}
	return nil
}

func (w *walker) allow(ctx context.Context) error {
	if err := w.submit(ctx, "/oauth/consent", url.Values{"decision": {"allow"}}); err != nil {
		return err
	}
	answer, err := url.Parse(w.page.next)
	if err != nil || w.page.status != http.StatusSeeOther {
		return fmt.Errorf("no redirect to the app, but status %d at %s", w.page.status, w.page.at.Path)
	}
	if err := w.demo.app.checkAnswer(answer.Query(), w.state); err != nil {
		return err
	}
	if w.code = answer.Query().Get("code"); w.code == "" {
		return errors.New("the redirect has no code")
	}
	return nil
}

func (w *walker) exchange(ctx context.Context) (err error) {
	w.token, err = w.demo.app.exchange(ctx, w.code)
	return err
}

func (w *walker) useToken(ctx context.Context) error {
	me, err := w.demo.app.me(ctx, w.token)
	if err != nil {
		return err
	}
	if me.User.Email != w.demo.user.Email || len(me.Scopes) == 0 {
		return errors.New("the response is for another user")
	}
	return nil
}

func (w *walker) findInstalled(ctx context.Context) error {
	if err := w.open(ctx, w.demo.issuer+"/account/apps"); err != nil {
		return err
	}
	if !strings.Contains(w.page.body, "Sample Shop") {
		return errors.New("the page does not list the app")
	}
	return nil
}

func (w *walker) remove(ctx context.Context) error {
	link := regexp.MustCompile(`href="(/account/apps/ins_[0-9A-Za-z]+/remove)"`).FindStringSubmatch(w.page.body)
	if link == nil {
		return errors.New("the page has no way to remove the app")
	}
	if err := w.open(ctx, w.demo.issuer+link[1]); err != nil {
		return err
	}
	return w.submit(ctx, link[1], nil)
}

func (w *walker) refused(ctx context.Context) error {
	_, err := w.demo.app.me(ctx, w.token)
	switch {
	case errors.Is(err, errTokenInvalid):
		return nil
	case err == nil:
		return errors.New("the token still works")
	}
	return err
}

// open loads an address.
func (w *walker) open(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("open %s: %w", address, err)
	}
	return w.load(req)
}

// submit fills in the form with this action on the current page and sends it as a browser does.
func (w *walker) submit(ctx context.Context, action string, fill url.Values) error {
	values, err := formValues(w.page.body, action)
	if err != nil {
		return err
	}
	for name, value := range fill {
		values[name] = value
	}
	target, err := w.page.at.Parse(action)
	if err != nil {
		return fmt.Errorf("form of %s: %w", action, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return fmt.Errorf("send %s: %w", action, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", w.page.at.Scheme+"://"+w.page.at.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return w.load(req)
}

// load reads the response, which must be a page or a redirect to the app.
func (w *walker) load(req *http.Request) error {
	res, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read %s: %w", req.URL.Path, err)
	}
	w.page = webPage{at: res.Request.URL, status: res.StatusCode, body: string(body), next: res.Header.Get("Location")}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusSeeOther {
		return fmt.Errorf("%s answered %d", w.page.at.Path, res.StatusCode)
	}
	return nil
}

// formValues returns the values that a form sends without input: hidden fields and checked boxes. It parses only the HTML of the
// embedded templates.
func formValues(page, action string) (url.Values, error) {
	var (
		form      = regexp.MustCompile(`(?s)<form\b[^>]*\baction="` + regexp.QuoteMeta(html.EscapeString(action)) + `"[^>]*>(.*?)</form>`)
		input     = regexp.MustCompile(`<input\b[^>]*>`)
		attribute = regexp.MustCompile(`\b(type|name|value)="([^"]*)"`)
	)
	found := form.FindStringSubmatch(page)
	if found == nil {
		return nil, fmt.Errorf("the page has no form for %s", action)
	}
	values := url.Values{}
	for _, tag := range input.FindAllString(found[1], -1) {
		attributes := map[string]string{}
		for _, a := range attribute.FindAllStringSubmatch(tag, -1) {
			attributes[a[1]] = html.UnescapeString(a[2])
		}
		choice := slices.Contains([]string{"radio", "checkbox"}, attributes["type"])
		if attributes["name"] != "" && (!choice || strings.Contains(tag, " checked")) {
			values.Set(attributes["name"], attributes["value"])
		}
	}
	return values, nil
}
