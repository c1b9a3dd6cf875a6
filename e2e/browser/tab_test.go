package browser

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	logs "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is one tab of a fresh browser context: no cookies, no cache, nothing that another test left. It remembers every
// redirect and everything that the browser complained about.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex
	documents  map[network.RequestID]string // addresses of main documents
	hops       []hop
	reported   chan struct{} // closed at the next event
	violations []string      // of the pages' content security policy
	complaints []string      // errors on the console, exceptions, whatever did not load
}

// hop is one redirect of the main document that the browser took: one that the policy of the page forbids is none.
type hop struct {
	from   string
	status int64
	to     string
}

// openTab opens a tab until the test ends.
func openTab(t testing.TB) *tab {
	t.Helper()
	b := &tab{t: t, documents: map[network.RequestID]string{}, reported: make(chan struct{})}
	ctx, cancel := chromedp.NewContext(need(t), chromedp.WithNewBrowserContext(), chromedp.WithListener(b.note))
	t.Cleanup(cancel)
	b.ctx = ctx
	// The tab lives as long as the context of the first action, so that one has no end of its own.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	b.do("watch the tab",
		send(network.Enable, network.EnableParams{}),
		send(logs.Enable, cdp.Empty{}),
		send(audits.Enable, cdp.Empty{}),
	)
	return b
}

// send makes an action of a protocol command.
func send[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// withoutScripts switches JavaScript off, as people may.
func (b *tab) withoutScripts() {
	b.t.Helper()
	b.do("switch scripts off", send(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
}

// note runs in the loop that reads the tab's messages.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.reported)
	b.reported = make(chan struct{})
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Type != network.ResourceTypeDocument {
			return
		}
		b.documents[e.RequestID] = e.Request.URL
		if e.RedirectResponse != nil {
			b.hops = append(b.hops, hop{e.RedirectResponse.URL, e.RedirectResponse.Status, e.Request.URL})
		}
	case *network.EventLoadingFailed:
		// Addresses of other schemes lead out of the browser, which loads nothing then.
		if asked := b.documents[e.RequestID]; asked == "" || strings.HasPrefix(asked, "http") {
			b.complaints = append(b.complaints, fmt.Sprintf("%s did not load: %s %s", asked, e.ErrorText, e.BlockedReason))
		}
	case *logs.EventEntryAdded:
		if strings.Contains(e.Entry.Text, "Content Security Policy") {
			b.violations = append(b.violations, e.Entry.Text)
		}
		// A page of ours with a status of 4xx is an answer, though the browser logs it as a failure.
		if e.Entry.Level == logs.EntryLevelError && !strings.Contains(e.Entry.Text, "the server responded with a status of 4") {
			b.complaints = append(b.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			b.violations = append(b.violations, fmt.Sprintf("%s blocks %s", d.ViolatedDirective, d.BlockedURL))
		}
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, "console: "+string(e.Type))
	}
}

// redirects returns the redirects since the last call.
func (b *tab) redirects() []hop {
	b.mu.Lock()
	defer b.mu.Unlock()
	hops := b.hops
	b.hops = nil
	return hops
}

// leave clicks what leads out of the browser, to an address of another scheme, and waits until the browser goes there.
func (b *tab) leave(selector, scheme string) *url.URL {
	b.t.Helper()
	b.redirects()
	b.ready(selector)
	b.tick(selector)
	var to *url.URL
	b.await("the browser goes to "+scheme, func() bool {
		for _, h := range b.hops {
			if u, err := url.Parse(h.to); err == nil && u.Scheme == scheme {
				to = u
			}
		}
		return to != nil
	})
	return to
}

// awaitViolation waits until a page has violated a directive of its policy.
func (b *tab) awaitViolation(directive string) {
	b.t.Helper()
	b.await("a violation of "+directive, func() bool {
		return slices.ContainsFunc(b.violations, func(v string) bool { return strings.Contains(v, directive) })
	})
}

// await waits until what the browser reported makes a condition true, which it asks with the lock held.
func (b *tab) await(what string, condition func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		b.mu.Lock()
		reported, met := b.reported, condition()
		b.mu.Unlock()
		if met {
			return
		}
		select {
		case <-reported:
		case <-ctx.Done():
			b.t.Fatalf("waited in vain: %s\n%s", what, b.where())
		}
	}
}

// wantQuiet asserts that no page so far violated its policy, and that the browser complained about nothing else.
func (b *tab) wantQuiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.violations {
		b.t.Errorf("policy violated: %s", v)
	}
	for _, c := range b.complaints {
		b.t.Errorf("the browser complains: %s", c)
	}
}

// do runs actions, within patience.
func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, b.where())
	}
}

// get runs an action that returns a value, within patience.
func get[T any](b *tab, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, b.where())
	}
	return value
}

// where says what the tab shows, for a failure. It waits for nothing.
func (b *tab) where() string {
	ctx, cancel := context.WithTimeout(b.ctx, patience/4)
	defer cancel()
	shown, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.body ? document.body.innerText.slice(0, 1000) : "")`))
	if err != nil {
		shown = err.Error()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("shown: %s\nredirects: %v\nviolations: %v\ncomplaints: %v", shown, b.hops, b.violations, b.complaints)
}

// open goes to an address and waits until the page is there.
func (b *tab) open(address string) {
	b.t.Helper()
	b.do("open "+address, chromedp.Navigate(address))
}

// follow does what leads to another page, and waits until that is there.
func (b *tab) follow(what string, action chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	get(b, what, chromedp.WaitEvent(page.LoadEventFired, nil, action))
}

// press clicks what the selector finds, and waits for the page that it leads to.
func (b *tab) press(selector string) {
	b.t.Helper()
	b.ready(selector)
	b.follow("press "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// ready waits until a button takes clicks: the consent page's Allow does not before it can have been read.
func (b *tab) ready(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		if get(b, "whether "+selector+" takes clicks", chromedp.Evaluate[bool](`!document.querySelector(`+strconv.Quote(selector)+`)?.disabled`)) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.t.Fatalf("%s takes no clicks\n%s", selector, b.where())
}

// tick clicks a choice that leads nowhere.
func (b *tab) tick(selector string) {
	b.t.Helper()
	b.do("tick "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// fill types into empty fields, given as selector, text, …
func (b *tab) fill(pairs ...string) {
	b.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		b.do("fill "+pairs[i], chromedp.SendKeys(chromedp.CSS(pairs[i]), pairs[i+1]))
	}
}

// value is what a field holds.
func (b *tab) value(selector string) string {
	b.t.Helper()
	return get(b, "value of "+selector, chromedp.Value(chromedp.CSS(selector)))
}

// text is what people read at the selector.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return get(b, "text of "+selector, chromedp.Text(chromedp.CSS(selector)))
}

// address is where the tab is.
func (b *tab) address() *url.URL {
	b.t.Helper()
	u, err := url.Parse(get(b, "address", chromedp.Location()))
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// wantHeading asserts which page is shown.
func (b *tab) wantHeading(want string) {
	b.t.Helper()
	if got := b.text("h1"); got != want {
		b.t.Fatalf("heading = %q, want %q\n%s", got, want, b.where())
	}
}

// wantText asserts that people can read all of the words at the selector.
func (b *tab) wantText(selector string, words ...string) {
	b.t.Helper()
	got := b.text(selector)
	for _, w := range words {
		if !strings.Contains(got, w) {
			b.t.Errorf("%s says %q, want %q in it", selector, got, w)
		}
	}
}

// html is the page's source as the browser has it.
func (b *tab) html() string {
	b.t.Helper()
	return get(b, "source of the page", chromedp.OuterHTML(chromedp.CSS("html")))
}

// reloadUntil reloads the page until the selector's text has the words: something is written in the background.
func (b *tab) reloadUntil(selector, words string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		if strings.Contains(b.text(selector), words) {
			return
		}
		b.do("reload", chromedp.Reload())
	}
	b.t.Fatalf("%s never says %q\n%s", selector, words, b.where())
}
