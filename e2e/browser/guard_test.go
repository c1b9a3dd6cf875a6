package browser

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
)

// TestConsentGuard: a click on Allow is not taken within 500 ms of the page being there or getting the focus, nor a press
// that began elsewhere, nor one that a script makes; Enter on the form presses nothing. A double click is one answer,
// and the button shows that.
func TestConsentGuard(t *testing.T) {
	t.Parallel()
	e := harness.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	other := e.AddUser("olga@users.test")
	if err := e.Store.AddMember(t.Context(), harness.Operator, other.Account.ID, e.U.ID, "agent"); err != nil {
		t.Fatal(err)
	}
	app := startApp(t, e.URL, "127.0.0.1:0", false)
	app.register(credentials(e.AddApp("Brightdesk Reports", true, app.callback)))
	b := openTab(t)
	b.open(app.connect())
	b.logIn(e.U.Email, allow)
	b.tick("[name=account]")
	b.script(`window.sent = 0; document.querySelector("form.guarded").addEventListener("submit", e => {
		if (!e.submitter?.name) return; // and the page stays where it is
		if (!e.defaultPrevented) sent++;
		e.preventDefault();
	})`)
	stays := func(what string) {
		t.Helper()
		if n := get(b, "answers sent", chromedp.Evaluate[int]("sent")); n != 0 {
			t.Errorf("%s: the answer is sent", what)
			b.script("sent = 0")
		}
	}

	b.ready(allow)
	b.script(`dispatchEvent(new Event("focus"))`)
	b.tick(allow)
	stays("a click right after the window got the focus")

	b.keys(kb.Tab) // from Allow, whose click was not taken
	b.script(`document.querySelector("[name=account]").focus()`)
	b.keys(kb.Enter)
	stays("Enter on a choice")

	b.rest()
	b.script(`document.querySelector("button[value=allow]").click()`)
	stays("a click by a script")
	x, y := b.middle("h1")
	b.do("press elsewhere", chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	x, y = b.middle(allow)
	b.do("let go on Allow", chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	stays("a press that began elsewhere")

	b.tick(allow)
	b.tick(allow)
	if n := get(b, "answers sent", chromedp.Evaluate[int]("sent")); n != 1 {
		t.Errorf("two clicks send %d answers, want 1", n)
	}
	if got := b.text(allow); got != "Connecting…" {
		t.Errorf("the button says %q after a click", got)
	}
	b.wantQuiet()
}

// TestConnectInAWindow: an app on another origin opens a window to connect, the user logs in and allows there, and the
// callback page reports to the page that opened the window.
func TestConnectInAWindow(t *testing.T) {
	t.Parallel()
	e := harness.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	var connect string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cb" {
			show(w, "Connected", `<script>opener.postMessage(location.search, location.origin)</script>`)
			return
		}
		show(w, "App", `<button onclick="window.open('`+connect+`', 'connect', 'width=600,height=700')">Connect</button>
<script>addEventListener("message", e => { document.querySelector("h1").textContent = e.data.includes("code=") ? "Got a code" : e.data })</script>`)
	}))
	t.Cleanup(s.Close)
	a := e.AddApp("Popup", true, s.URL+"/cb")
	connect = e.URL + "/oauth/authorize?" + harness.Pairs("client_id", a.ID, "redirect_uri", s.URL+"/cb", "scope", "contacts", "state", "xyz").Encode()

	b := openTab(t)
	b.open(s.URL)
	popup := b.window("button")
	popup.logIn(e.U.Email, allow)
	popup.press(allow)
	popup.wantHeading("Connected")
	b.awaitHeading("Got a code")
	b.wantQuiet()
}

// script runs a statement in the page.
func (b *tab) script(statement string) {
	b.t.Helper()
	get(b, "run "+statement, chromedp.Evaluate[chromedp.Void](statement+"; undefined"))
}

// rest lets the time pass in which the guard takes no Allow.
func (b *tab) rest() {
	b.t.Helper()
	b.script("window.since = performance.now()")
	get(b, "wait", chromedp.Poll[bool]("performance.now() - since > 600"))
}

// middle is where the middle of an element is.
func (b *tab) middle(selector string) (x, y float64) {
	b.t.Helper()
	at := get(b, "where "+selector+" is", chromedp.Evaluate[[]float64](
		`(() => { const b = document.querySelector(`+strconv.Quote(selector)+`).getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })()`))
	return at[0], at[1]
}

// window clicks what opens a window, and returns that.
func (b *tab) window(selector string) *tab {
	b.t.Helper()
	opened := chromedp.WaitNewTarget(b.ctx, func(*target.Info) bool { return true })
	b.tick(selector)
	select {
	case id := <-opened:
		popup := &tab{t: b.t, documents: map[network.RequestID]string{}, reported: make(chan struct{})}
		ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(id), chromedp.WithListener(popup.note))
		b.t.Cleanup(cancel)
		popup.ctx = ctx
		if err := chromedp.Do(ctx); err != nil {
			b.t.Fatalf("attach to the window: %v", err)
		}
		return popup
	case <-time.After(patience):
		b.t.Fatal("no window opens")
		return nil
	}
}

// awaitHeading waits until the page has a heading that it gets without being loaded again.
func (b *tab) awaitHeading(want string) {
	b.t.Helper()
	get(b, "heading "+want, chromedp.Poll[bool](`document.querySelector("h1").textContent === `+strconv.Quote(want)))
}
