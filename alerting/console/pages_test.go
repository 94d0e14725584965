package console_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"fmt"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"testing"
	"time"

	"holdfast/alerting/console"
)

// Every page, in both widths and colours: nothing on the console, nothing refused by the
// policy, nothing from elsewhere.
func TestEveryPage(t *testing.T) {
	w := newWorld(t)
	for _, how := range []look{{width: 1280}, {width: 390}, {width: 1280, dark: true}, {width: 390, dark: true}} {
		t.Run(fmt.Sprintf("%d dark=%v", how.width, how.dark), func(t *testing.T) {
			b := w.open(t, "adm", how)
			for _, p := range w.pages() {
				b.to(p.path)
				b.shot(fmt.Sprintf("%s-%d%s", p.name, how.width, map[bool]string{true: "-dark"}[how.dark]))
				for _, x := range b.faults() {
					t.Errorf("%s: %s", p.path, x)
				}
			}
		})
	}
}

type aPage struct{ name, path string }

func (w *world) pages() []aPage {
	id := func(e string) string { c, _ := w.service.Book().CaseOf(account(e)); return c.ID }
	emp, _ := w.service.Book().CaseOf(employee("emp-03"))
	return []aPage{
		{"queue", "/queue"}, {"case", "/case/" + id("acct-0007")}, {"case-awaits", "/case/" + id("acct-0021")}, {"case-employee", "/case/" + emp.ID},
		{"account", "/entity/account:acct-0007"}, {"address", "/entity/ip:203.0.113.77"}, {"employee", "/entity/employee:emp-03"},
		{"bulk-preview", "/bulk/preview?act=suspend&e=account:acct-0044&e=account:acct-0007"}, {"bulks", "/bulk"}, {"nothing", "/nothing"},
		{"incidents", "/incidents"}, {"incident", "/incident/" + w.incident()}, {"links", "/links"}, {"links-account", "/links?entity=account:acct-0007"}, {"explore", "/explore?go=1&from=events&by=account&days=7&type=send"}, {"explore-before", "/explore?go=1&from=events&by=account&days=7&compare=before"}, {"sql", "/explore?mode=sql&sql=SELECT+1"},
		{"operators", "/operators"}, {"policies", "/policies"}, {"expected", "/expected"}, {"system", "/system"}, {"people", "/people"}, {"me", "/me"},
		{"customer", console.CustomerPath(w.key, "acct-0007", id("acct-0007"), w.now.Add(time.Hour))},
	}
}

// Axe finds nothing serious on any page, in both widths and colours.
func TestAccessible(t *testing.T) {
	source := axe(t)
	w := newWorld(t)
	for _, how := range []look{{width: 1280}, {width: 390, dark: true}} {
		b := w.open(t, "adm", how)
		stranger := w.open(t, "", how)
		for _, p := range append(w.pages(), aPage{"signin", "/signin"}) {
			b := b
			if p.name == "signin" {
				b = stranger
			}
			b.to(p.path)
			var found []string
			b.do(chromedp.Evaluate(source+";0", nil), chromedp.Evaluate(`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.filter(v => ["serious", "critical"].includes(v.impact)).flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 160) + " " + (n.any[0]?.message ?? ""))))`,
				&found, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
			for _, x := range found[:min(len(found), 6)] {
				t.Errorf("%d dark=%v %s: %s", how.width, how.dark, p.path, x)
			}
		}
	}
}

// A page is no wider than the window.
func TestNarrow(t *testing.T) {
	w := newWorld(t)
	c := w.addHostile()
	for _, width := range []int64{390, 1280} {
		b := w.open(t, "adm", look{width: width})
		for _, p := range append(w.pages(), aPage{"hostile", "/case/" + c.ID}, aPage{"hostile", "/entity/" + url.PathEscape(c.Entity.Key())}) {
			b.to(p.path)
			var wide int64
			b.do(chromedp.Evaluate(`document.documentElement.scrollWidth`, &wide))
			if wide > width {
				t.Errorf("%s is %d pixels wide in a window of %d", p.path, wide, width)
			}
		}
	}
}

// Without JavaScript every page is there, with a picture in place of the chart.
func TestWithoutJavaScript(t *testing.T) {
	w := newWorld(t)
	b := w.open(t, "ada", look{noJS: true})
	for _, p := range w.pages() {
		b.to(p.path)
		if b.text("h1") == "" {
			t.Errorf("%s has no heading", p.path)
		}
	}
	b.to("/entity/account:acct-0007")
	var d string
	b.attribute("#volume svg .bars", "d", &d)
}

// Where the audit store is away the rest of a page stands, and says what is missing.
func TestAway(t *testing.T) {
	w := newWorld(t)
	w.mu.Lock()
	w.away = true
	w.mu.Unlock()
	b := w.open(t, "ada", look{})
	for _, p := range []string{"/case/" + w.idOf(account("acct-0007")), "/entity/account:acct-0007", "/entity/employee:emp-03"} {
		b.to(p)
		b.shows("The audit store does not answer now.", "suspended")
	}
	b.to("/queue")
	b.shows("acct-0007")
}

// Every text that a page asks for is in the file, and none is there for nothing.
func TestMessages(t *testing.T) {
	b, err := os.ReadFile("messages/en.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("templates/*.html")
	goFiles, _ := filepath.Glob("*.go")
	for _, f := range append(files, goFiles...) {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		s, _ := os.ReadFile(f)
		for _, m := range regexp.MustCompile(`(?:\(t |\{t |say\()"([a-z0-9_.]+[a-z0-9_])"`).FindAllStringSubmatch(string(s), -1) {
			if !strings.Contains(string(b), "\n"+m[1]+": ") && !strings.Contains(string(b), "\n\""+m[1]+"\": ") {
				t.Errorf("%s: messages/en.yaml has no %q", f, m[1])
			}
		}
	}
}

// axe is axe-core, which `make console-test` puts into the cache.
func axe(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(cache, "holdfast", "axe-core-4.10.3.min.js"))
	if err != nil {
		if os.Getenv("HOLDFAST_TEST_CHROMIUM") == "required" {
			t.Fatal(err)
		}
		t.Skip("axe-core is not in the cache: run make console-test once")
	}
	return string(b)
}
