// Package browser walks through the pages as people do, in a real Chromium: with the mouse or with keys alone, with
// JavaScript switched off, on a phone's width, in light and dark, and back to apps under the policy that the pages carry.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"xenoauth/internal/dbtest"
)

// patience bounds one step in the browser. It is what a machine that is busy with other things may need, not what a step
// takes.
const patience = 30 * time.Second

var errNoChromium = errors.New("no Chromium found: install the package chromium (chromium, chromium-browser or google-chrome in PATH)")

// chromium is the one browser process of these tests. It has an empty profile, and ends with this process.
var chromium = sync.OnceValues(func() (context.Context, error) {
	path, err := findChromium()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(2*patience),         // a cold start beside other tests
		chromedp.IgnoreCertErrors,                     // apps under test have certificates of their own making
		chromedp.Flag("allow-pre-commit-input", true), // else clicks before the first paint are dropped
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-search-engine-choice-screen", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.WindowSize(1280, 900),
	)
	process, stopProcess := chromedp.NewExecAllocator(context.Background(), options...)
	browser, stopBrowser := chromedp.NewContext(process)
	stop = func() {
		stopBrowser()
		stopProcess()
	}
	if err := chromedp.Do(browser); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return browser, nil
})

// stop ends the browser and removes its profile.
var stop = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	stop()
	os.Exit(code)
}

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoChromium
}

// need returns the browser. Without one on this machine the test is skipped, or fails where CI or XENOAUTH_REQUIRE_ALL is
// set.
func need(t testing.TB) context.Context {
	t.Helper()
	browser, err := chromium()
	if errors.Is(err, errNoChromium) && !dbtest.RequireAll() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return browser
}
