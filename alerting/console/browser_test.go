package console_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser is Debian's Chromium, one for all tests of the package.
var browser struct {
	once sync.Once
	ctx  context.Context
	stop func()
	err  error
}

// chromium starts the browser, or skips the test where there is none; HOLDFAST_TEST_CHROMIUM
// set to required makes that a failure.
func chromium(t *testing.T) context.Context {
	t.Helper()
	browser.once.Do(func() {
		path := ""
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if p, err := exec.LookPath(name); err == nil {
				path = p
				break
			}
		}
		if path == "" {
			browser.err = fmt.Errorf("chromium is not installed (on Debian: apt-get install chromium)")
			return
		}
		opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-gpu", true),
			chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("disable-features", "Translate,AutofillServerCommunication"), chromedp.WSURLReadTimeout(60*time.Second))
		alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
		ctx, cancel := chromedp.NewContext(alloc, chromedp.WithErrorf(func(string, ...any) {}))
		browser.ctx, browser.stop = ctx, func() { cancel(); stop() }
		browser.err = chromedp.Run(ctx)
	})
	if browser.err != nil {
		if os.Getenv("HOLDFAST_TEST_CHROMIUM") == "required" {
			t.Fatal(browser.err)
		}
		t.Skip(browser.err)
	}
	return browser.ctx
}

func TestMain(m *testing.M) {
	code := m.Run()
	if browser.stop != nil {
		browser.stop()
	}
	os.Exit(code)
}

// look is how a tab looks at pages.
type look struct {
	width int64
	dark  bool
	noJS  bool
}

// tab is one person's window. It keeps what a page must not do.
type tab struct {
	t      *testing.T
	ctx    context.Context
	origin string
	clicks int

	mu    sync.Mutex
	wrong []string
}

// open opens a tab in which somebody is signed in; nobody where name is empty.
func (w *world) open(t *testing.T, name string, how look) *tab {
	t.Helper()
	return openTab(t, w.server.URL, name, how)
}

func openTab(t *testing.T, origin, name string, how look) *tab {
	t.Helper()
	if how.width == 0 {
		how.width = 1280
	}
	// A browser context of its own: nothing is shared with other tabs.
	chrome := cdp.WithExecutor(chromium(t), chromedp.FromContext(chromium(t)).Browser)
	own, err := target.CreateBrowserContext().Do(chrome)
	if err != nil {
		t.Fatal(err)
	}
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(own).WithNewWindow(true).Do(chrome)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(chromium(t), chromedp.WithTargetID(id))
	t.Cleanup(func() { cancel(); _ = target.DisposeBrowserContext(own).Do(chrome) })
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, origin: origin}
	chromedp.ListenTarget(ctx, b.event)
	height := int64(900)
	if how.width < 500 {
		height = 844
	}
	scheme := "light"
	if how.dark {
		scheme = "dark"
	}
	setup := []chromedp.Action{
		network.Enable(), cdplog.Enable(), runtime.Enable(),
		emulation.SetDeviceMetricsOverride(how.width, height, 1, how.width < 500),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}),
		emulation.SetScriptExecutionDisabled(how.noJS),
	}
	if name != "" {
		u, _ := url.Parse(origin)
		for _, k := range signIn(t, origin, name).Jar.Cookies(u) {
			setup = append(setup, network.SetCookie(k.Name, k.Value).WithURL(origin).WithHTTPOnly(true).WithSameSite(network.CookieSameSiteLax))
		}
	}
	if err := chromedp.Run(ctx, setup...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, x := range b.faults() {
			t.Error(x)
		}
	})
	return b
}

// event notes what no page may do: errors on the console, refusals by the policy, requests
// to elsewhere.
func (b *tab) event(ev any) {
	var x string
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		x = "exception: " + ev.ExceptionDetails.Error()
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.APITypeError || ev.Type == runtime.APITypeWarning {
			x = fmt.Sprintf("console.%s", ev.Type)
			for _, a := range ev.Args {
				x += " " + string(a.Value)
			}
		}
	case *cdplog.EventEntryAdded:
		expected := strings.Contains(ev.Entry.Text, "Failed to load resource: the server responded with a status of 4") || strings.Contains(ev.Entry.Text, "a status of 503")
		if ev.Entry.Level == cdplog.LevelError && !expected {
			x = "log: " + ev.Entry.Text + " " + ev.Entry.URL
		}
	case *network.EventRequestWillBeSent:
		u := ev.Request.URL
		if !strings.HasPrefix(u, b.origin+"/") && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "about:") {
			x = "a request off the origin: " + u
		}
	case *page.EventJavascriptDialogOpening:
		x = "a dialog: " + ev.Message
	}
	if x != "" {
		b.mu.Lock()
		b.wrong = append(b.wrong, x)
		b.mu.Unlock()
	}
}

func (b *tab) faults() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.wrong
	b.wrong = nil
	return out
}

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 60*time.Second)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("%v (at %s)", err, b.at())
	}
}

// to goes to a page.
func (b *tab) to(path string) { b.t.Helper(); b.do(chromedp.Navigate(b.origin + path)) }

// at is the path and query of the page.
func (b *tab) at() string {
	var u string
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Location(&u))
	return strings.TrimPrefix(u, b.origin)
}

// click clicks and waits for the page that follows, and counts.
func (b *tab) click(sel string) {
	b.t.Helper()
	b.clicks++
	ctx, cancel := context.WithTimeout(b.ctx, 60*time.Second)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(sel, chromedp.ByQuery, chromedp.NodeVisible)); err != nil {
		b.t.Fatalf("click %s: %v (at %s)", sel, err, b.at())
	}
}

// tap clicks what leads to no other page.
func (b *tab) tap(sel string) {
	b.t.Helper()
	b.clicks++
	b.do(chromedp.Click(sel, chromedp.ByQuery, chromedp.NodeVisible))
}

// fill writes into a field, reached by the keyboard.
func (b *tab) fill(sel, text string) {
	b.t.Helper()
	b.do(chromedp.Focus(sel, chromedp.ByQuery), chromedp.SendKeys(sel, text, chromedp.ByQuery))
}

// pick chooses an option by its value.
func (b *tab) pick(sel, value string) {
	b.t.Helper()
	b.do(chromedp.SetValue(sel, value, chromedp.ByQuery))
}

// press presses a key on the page.
func (b *tab) press(key string) { b.t.Helper(); b.do(chromedp.KeyEvent(key)) }

// enter presses Enter and waits for the page that follows.
func (b *tab) enter() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 60*time.Second)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.KeyEvent(kb.Enter)); err != nil {
		b.t.Fatalf("enter: %v (at %s)", err, b.at())
	}
}

// text is what a page shows.
func (b *tab) text(sel string) string {
	b.t.Helper()
	var out string
	b.do(chromedp.Text(sel, &out, chromedp.ByQuery))
	return out
}

func (b *tab) shows(want ...string) {
	b.t.Helper()
	got := b.text("main")
	for _, x := range want {
		if !strings.Contains(got, x) {
			b.t.Errorf("%s does not show %q but:\n%s", b.at(), x, got)
		}
	}
}

// eventually waits for a condition in the page.
func (b *tab) eventually(js string) {
	b.t.Helper()
	b.do(chromedp.Poll(js, nil, chromedp.WithPollingTimeout(30*time.Second)))
}

// shot writes a picture of the whole page where HOLDFAST_TEST_SHOTS names a folder.
func (b *tab) shot(name string) {
	dir := os.Getenv("HOLDFAST_TEST_SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	b.do(chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// signIn signs in through the console, as a browser without JavaScript does.
func signIn(t *testing.T, origin, name string) *http.Client {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 60 * time.Second}
	r := post(t, c, origin+"/signin", url.Values{"name": {name}, "password": {password}})
	if r.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign in: %d %s", r.StatusCode, bodyOf(t, r))
	}
	return c
}

func post(t *testing.T, c *http.Client, where string, form url.Values) *http.Response {
	t.Helper()
	u, _ := url.Parse(where)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, where, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", u.Scheme+"://"+u.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return send(t, c, r)
}

func get(t *testing.T, c *http.Client, where string) *http.Response {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, where, nil)
	return send(t, c, r)
}

func send(t *testing.T, c *http.Client, r *http.Request) *http.Response {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(b)))
	return resp
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(strings.NewReader(string(b)))
	return string(b)
}
