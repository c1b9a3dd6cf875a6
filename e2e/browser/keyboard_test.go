package browser

import (
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
)

// TestKeyboardOnly: log-in, consent and removal with Tab, Enter, Space and letters alone, and at every stop people see
// where they are.
func TestKeyboardOnly(t *testing.T) {
	t.Parallel()
	e := harness.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	olga := e.AddUser("olga@users.test")
	if err := e.Store.AddMember(t.Context(), harness.Operator, olga.Account.ID, e.U.ID, scope.RoleAgent); err != nil {
		t.Fatal(err)
	}
	app := startApp(t, e.URL, "127.0.0.1:0", false)
	app.register(credentials(e.AddApp("Brightdesk Reports", true, app.callback)))

	b := openTab(t)
	b.open(app.connect())
	b.tabTo("#email")
	b.keys(e.U.Email)
	b.tabTo("#password")
	b.keys(harness.Password)
	b.follow("send the log-in", chromedp.KeyEvent(kb.Enter))

	b.wantHeading("Brightdesk Reports wants to connect to your account")
	b.tabTo("[name=account]")
	b.keys(kb.ArrowDown, " ") // a group of choices is one stop; arrows move in it
	b.tabTo(deny)
	b.ready(allow)
	b.tabTo(allow)
	b.follow("press Allow", chromedp.KeyEvent(" "))
	b.wantHeading("Connected")
	app.token()

	b.open(e.URL + "/account/apps")
	b.tabTo("a[href$='/remove']")
	b.follow("go to the question", chromedp.KeyEvent(kb.Enter))
	b.tabTo("main button")
	b.follow("press Remove", chromedp.KeyEvent(" "))
	b.wantText("main", "No apps yet")
	b.wantQuiet()
}

// place is where the focus is.
type place struct {
	There   bool   // at what was looked for
	Control string // its tag and text
	Seen    bool   // on the screen and marked
}

// whereFocus tells of the focused element. What marks it is an outline of at least 2 pixels, its own or, for the small
// input of a choice, that of the box around it.
const whereFocus = `(() => {
	const at = document.activeElement, box = at.getBoundingClientRect();
	const marked = e => { const s = getComputedStyle(e); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 };
	return {
		There: at.matches(SELECTOR),
		Control: at.tagName.toLowerCase() + " " + (at.name || at.innerText || ""),
		Seen: at !== document.body && at.matches(":focus-visible") && (marked(at) || marked(at.parentElement)) &&
			box.width > 0 && box.height > 0 && box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight,
	};
})()`

// tabTo presses Tab until the focus is at what the selector finds. Every stop on the way must be seen.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	var passed []string
	for range 30 {
		b.keys(kb.Tab)
		s := get(b, "where the focus is", chromedp.Evaluate[place](strings.ReplaceAll(whereFocus, "SELECTOR", strconv.Quote(selector))))
		if s.Control == "body " && len(passed) > 0 {
			break
		}
		if !s.Seen {
			b.t.Errorf("%s: the focus is at %q, where nobody sees it", b.address().Path, s.Control)
		}
		if s.There {
			return
		}
		passed = append(passed, s.Control)
	}
	b.t.Fatalf("Tab never comes to %s, only to %q", selector, passed)
}

// keys presses keys, one after the other.
func (b *tab) keys(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.do("press keys", chromedp.KeyEvent(k))
	}
}
