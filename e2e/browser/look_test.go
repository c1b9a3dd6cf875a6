package browser

import (
	"context"
	_ "embed"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// inspect returns what is wrong with the page as it stands, in words.
//
//go:embed inspect.js
var inspect string

// look is one way to look at a page.
type look struct {
	name          string
	width, height int64
	dark          bool
}

var (
	inspected = []look{{"narrow-light", 360, 740, false}, {"narrow-dark", 360, 740, true}}
	pictured  = []look{{"wide-light", 1280, 900, false}, {"wide-dark", 1280, 900, true}, {"phone-light", 390, 844, false}, {"phone-dark", 390, 844, true}}
)

// TestPagesLook: every page, and every state in which people meet it, has one heading, a title and a name for each input,
// can be read (contrast of all text at least 4.5:1, of large text 3:1), fits a screen of 360 pixels without being moved
// sideways, in light and in dark, and makes the browser complain about nothing. XENOAUTH_SCREENSHOTS=DIR keeps pictures and
// the text of each page.
func TestPagesLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pictures := os.Getenv("XENOAUTH_SCREENSHOTS")
	for _, v := range w.visits() {
		t.Run(v.who, func(t *testing.T) {
			t.Parallel()
			b := openTab(t)
			if v.email != "" {
				b.open(w.URL + "/login")
				b.logIn(v.email, "h1")
			}
			for _, s := range v.scenes {
				// Named in a failure, but no subtest: a scene may need the one before it.
				b.t = named{t, s.name}
				s.show(b)
				for _, l := range inspected {
					b.take(l)
					for _, fault := range get(b, "inspect", chromedp.Evaluate[[]string](inspect)) {
						b.t.Errorf("%s: %s", l.name, fault)
					}
				}
				if pictures != "" {
					b.saveText(pictures, s.name)
					b.picture(pictures, s.name)
				}
				if pictures != "" && s.name == pictureOf {
					b.card(filepath.Join(pictures, "card.png"))
				}
			}
			b.t = t
			b.wantQuiet()
		})
	}
}

// pictureOf is the scene that docs/images/consent.png shows.
const pictureOf = "consent"

// card writes the picture of a page's card alone, with a little room around it, sharp enough for a document.
func (b *tab) card(file string) {
	b.t.Helper()
	b.take(pictured[0])
	b.do("enlarge", chromedp.EmulateViewport(700, 900, chromedp.EmulateScale(1.6)))
	box := get(b, "find the card", chromedp.Evaluate[page.Viewport](`(() => {
		const box = document.querySelector(".card").getBoundingClientRect();
		return { x: box.x - 24, y: box.y - 24, width: box.width + 48, height: box.height + 48, scale: 1 };
	})()`))
	shot := get(b, "take a picture", func(ctx context.Context, t *chromedp.Target) (page.CaptureScreenshotResult, error) {
		return cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{Clip: &box, CaptureBeyondViewport: new(true)})
	})
	if err := os.WriteFile(file, shot.Data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// named says of which scene a failure tells.
type named struct {
	testing.TB
	scene string
}

func (n named) Errorf(format string, args ...any) {
	n.Helper()
	n.TB.Errorf("%s: "+format, append([]any{n.scene}, args...)...)
}

func (n named) Fatalf(format string, args ...any) {
	n.Helper()
	n.TB.Fatalf("%s: "+format, append([]any{n.scene}, args...)...)
}

// take sets size and colours. Without motion, so that colours are what they will be at once.
func (b *tab) take(l look) {
	b.t.Helper()
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	b.do("look "+l.name,
		chromedp.EmulateViewport(l.width, l.height),
		send(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
	)
}

// saveText writes the title and the visible text of the page, including the text of folded parts.
func (b *tab) saveText(dir, name string) {
	b.t.Helper()
	text := get(b, "read the text", chromedp.Evaluate[string](`(() => {
		const folded = [...document.querySelectorAll("details:not([open])")];
		folded.forEach(d => { d.open = true; });
		const text = document.title + "\n" + document.body.innerText + "\n";
		folded.forEach(d => { d.open = false; });
		return text;
	})()`))
	if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// picture writes the whole page, as it looks on a desk and on a phone.
func (b *tab) picture(dir, name string) {
	b.t.Helper()
	for _, l := range pictured {
		b.take(l)
		png := get(b, "take a picture", chromedp.FullScreenshot(100))
		if err := os.WriteFile(filepath.Join(dir, name+"-"+l.name+".png"), png, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}
