package browser

import (
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
)

// TestDoubleClicksOnASlowLine: on a line with 700 ms of latency and without scripts, a double click registers one app and shows
// its secret, and one on Allow connects it: the browser drops the first request and takes the answer to the second. Back
// and reload after that make nothing, and show the secret no more.
func TestDoubleClicksOnASlowLine(t *testing.T) {
	t.Parallel()
	e := harness.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	app := startApp(t, e.URL, "127.0.0.1:0", false)
	b := openTab(t)
	b.withoutScripts()
	b.open(e.URL + "/login")
	b.logIn(e.U.Email, "h1")
	before := e.Count(`SELECT COUNT(*) FROM apps`)

	b.open(e.URL + "/developer/apps/new")
	b.fill("#name", "Slow Reports", "[name=redirect_uris]", app.callback)
	b.tick("[name=scopes][value=contacts]")
	b.slow(700)
	b.twice("main .actions button[type=submit]")
	b.wantHeading("Slow Reports registered")
	app.register(b.value("#client_id"), b.value("#client_secret"), "contacts")
	if n := e.Count(`SELECT COUNT(*) FROM apps`) - before; n != 1 {
		t.Errorf("a double click registers %d apps", n)
	}
	b.do("reload", chromedp.Reload())
	b.wantHeading("This page is shown only once")
	b.slow(0)

	b.open(app.connect())
	b.slow(700)
	b.twice(allow)
	b.wantHeading("Connected")
	b.slow(0)
	if app.token().AccessToken == "" {
		t.Error("no token")
	}
	if n := e.Count(`SELECT COUNT(*) FROM codes`); n != 1 {
		t.Errorf("a double click on Allow makes %d codes", n)
	}
}

// networkConditions are the parameters of Network.emulateNetworkConditions, which all versions of Chromium have; its successor
// goes by rules.
type networkConditions struct {
	Offline            bool    `json:"offline"`
	Latency            float64 `json:"latency"` // ms
	DownloadThroughput float64 `json:"downloadThroughput"`
	UploadThroughput   float64 `json:"uploadThroughput"`
}

var emulateNetworkConditions = cdp.Command[networkConditions, cdp.Empty]{Method: "Network.emulateNetworkConditions"}

// slow makes every request take so many milliseconds longer; 0 ends that.
func (b *tab) slow(latency float64) {
	b.t.Helper()
	b.do("slow line", send(emulateNetworkConditions, networkConditions{Latency: latency, DownloadThroughput: -1, UploadThroughput: -1}))
}

// twice clicks two times, and waits for the page that this leads to.
func (b *tab) twice(selector string) {
	b.t.Helper()
	b.do("show "+selector, chromedp.ScrollIntoView(chromedp.CSS(selector)))
	x, y := b.middle(selector)
	click := func(n int) []chromedp.Action[chromedp.Void] {
		return []chromedp.Action[chromedp.Void]{
			chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, x, y, chromedp.ButtonLeft, chromedp.ClickCount(n)),
			chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, x, y, chromedp.ButtonLeft, chromedp.ClickCount(n)),
		}
	}
	b.do("click once", click(1)...)
	second := click(2)
	b.do("click again", second[0])
	b.follow("let go", second[1])
}
