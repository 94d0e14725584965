package console

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

//go:embed all:templates
var templateFiles embed.FS

// pages are the templates by name.
type pages map[string]*template.Template

// view is what every page has.
type view struct {
	Title string
	Page  string // the name of the template
	Who   api.Principal
	Here  string // path and query of this page
	Path  string
	Now   time.Time
	Flash *flash
	Data  any
	Chart bool // the page has a chart
	Bare  bool // without navigation
	Away  []string
}

// nav is the way to the other pages.
type nav struct {
	Key, URL, Group string
	Right           api.Right
}

var navs = []nav{
	{"queue", "/queue", "work", api.RightRead}, {"bulks", "/bulk", "work", api.RightRead}, {"links", "/links", "work", api.RightRead}, {"incidents", "/incidents", "work", api.RightRead},
	{"explore", "/explore", "look", api.RightQuery}, {"operators", "/operators", "look", api.RightAudit},
	{"policies", "/policies", "rules", api.RightRead}, {"expected", "/expected", "rules", api.RightRead},
	{"system", "/system", "rules", api.RightRead}, {"people", "/people", "rules", api.RightPeople},
}

// Nav lists the pages that the person may see.
func (v *view) Nav() []nav {
	var out []nav
	for _, n := range navs {
		if v.Who.May(n.Right) {
			out = append(out, n)
		}
	}
	return out
}

// At reports whether a page is the present one.
func (v *view) At(n nav) bool {
	return strings.HasPrefix(v.Path, n.URL) || n.Key == "incidents" && strings.HasPrefix(v.Path, "/incident/")
}

func (c *Console) loadPages() pages {
	out := pages{}
	all, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err)
	}
	base := template.New("").Funcs(c.funcs())
	for _, name := range all {
		if strings.HasPrefix(path.Base(name), "_") {
			b, _ := templateFiles.ReadFile(name)
			template.Must(base.New(path.Base(name)).Parse(string(b)))
		}
	}
	for _, name := range all {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		b, _ := templateFiles.ReadFile(name)
		t := template.Must(base.Clone())
		template.Must(t.New("page").Parse(string(b)))
		out[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return out
}

func (c *Console) funcs() template.FuncMap {
	return template.FuncMap{
		"t": c.text.say, "word": c.text.word, "count": func(key string, n any) string { return c.text.count(key, asInt(n)) }, "step": c.text.step, "owner": c.text.owner, "brief": brief, "each": func(does string) string { return strings.ReplaceAll(does, "every:one", c.text.say("bulk.each")) },
		"asset": c.assets.url, "n": func(n any) string { return number(asInt(n)) },
		"when": whenOf, "stamp": stamp, "ago": c.ago, "late": func(t time.Time) bool { return !t.IsZero() && t.Before(c.now()) },
		"iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) }, "zero": func(t time.Time) bool { return t.IsZero() },
		"apart": apart, "entity": entityURL, "account": func(id string) string { return entityURL(schemas.Entity{Kind: schemas.KindAccount, ID: id}) },
		"address":  func(id string) string { return entityURL(schemas.Entity{Kind: schemas.KindIP, ID: id}) },
		"employee": func(id string) string { return entityURL(schemas.Entity{Kind: schemas.KindEmployee, ID: id}) },
		"case":     caseURL, "incident": incidentURL, "tone": tone, "key": newKey, "dict": dict, "list": func(v ...any) []any { return v },
		"percent": func(f float64) string { return fmt.Sprintf("%.0f %%", f*100) }, "share": share, "str": func(v any) string { return fmt.Sprint(v) },
		"has": func(all []string, one string) bool {
			for _, x := range all {
				if x == one {
					return true
				}
			}
			return false
		},
		"add": func(a, b int) int { return a + b }, "neg": func(n int) int { return -n }, "personal": personal, "saved": savedURL, "named": namedURL, "image": func(s string) template.URL { return template.URL(s) }, // #nosec G203 -- a picture made here
		"verdicts": reasons, "known": func(k *bool) bool { return k == nil || *k },
		"g": func(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) },
	}
}

func asInt(n any) int64 {
	switch n := n.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	case uint64:
		return int64(n) // #nosec G115 -- counts
	case *int64:
		if n != nil {
			return *n
		}
	}
	return 0
}

// dict makes a map of names and values, for a template within another.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d arguments", len(pairs))
	}
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		out[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return out, nil
}

// entityURL is the page of an entity. The kind stands before the id, so that no id is a
// segment such as "..".
func entityURL(e schemas.Entity) string { return "/entity/" + url.PathEscape(e.Key()) }

func caseURL(id string) string { return "/case/" + url.PathEscape(id) }

// newKey is a new idempotency key.
func newKey() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// stamp writes a time in UTC: 30 Nov 20:28:49, with the year where it is another one.
func stamp(t time.Time) string {
	t = t.UTC()
	if t.Year() != time.Now().UTC().Year() {
		return t.Format("2 Jan 2006 15:04:05")
	}
	return t.Format("2 Jan 15:04:05")
}

// whenOf is a time for people and for programs.
func whenOf(t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	full := t.UTC().Format("2006-01-02 15:04:05.000 UTC")
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339Nano) + `" title="` + full + `">` + stamp(t) + `</time>`) // #nosec G203 -- only digits and month names
}

// ago says how far a time is from now: 4 min ago, in 2 h.
func (c *Console) ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := c.now().Sub(t)
	if d < 0 {
		return c.text.say("time.in", c.long(-d))
	}
	if d < 10*time.Second {
		return c.text.say("time.now")
	}
	return c.text.say("time.ago", c.long(d))
}

func (c *Console) long(d time.Duration) string {
	switch {
	case d < time.Minute:
		return c.text.say("time.s", int(d.Seconds()))
	case d < time.Hour:
		return c.text.say("time.min", int(d.Minutes()))
	case d < 48*time.Hour:
		return c.text.say("time.h", int(d.Hours()))
	}
	return c.text.say("time.d", int(d.Hours()/24))
}

// apart reports whether two clocks of a row differ by more than a second.
func apart(a, b time.Time) bool {
	d := b.Sub(a)
	return !a.IsZero() && !b.IsZero() && (d > time.Second || d < -time.Second)
}

// tone is the colour of a word: bad, warn, ok, info or plain.
func tone(word any) string {
	switch fmt.Sprint(word) {
	case "suspended", "blocked", "suspend", "block", "compromised", "refused", "failing", "failed", "critical", "bad":
		return "bad"
	case "throttled", "throttle", "revoked", "revoke", "contained", "high", "waiting", "held", "review", "open", "too late":
		return "warn"
	case "active", "release", "closed", "done", "confirmed", "sent", "expected", "running", "live", "proven":
		return "ok"
	case "recovering", "probation", "medium", "shadow", "observe":
		return "info"
	}
	return "plain"
}

// show renders a page.
func (c *Console) show(w http.ResponseWriter, r *http.Request, status int, v view) error {
	v.Here, v.Path, v.Now = r.URL.RequestURI(), r.URL.Path, c.now()
	if v.Flash == nil {
		v.Flash = c.told(w, r)
	}
	t := c.pages[v.Page]
	if t == nil {
		return fmt.Errorf("there is no page %q", v.Page)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "_layout.html", &v); err != nil {
		return fmt.Errorf("page %s: %w", v.Page, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
	return nil
}

// problem shows what went wrong.
func (c *Console) problem(w http.ResponseWriter, r *http.Request, p api.Principal, err error) {
	q := api.AsProblem(err)
	if q.Code == api.CodeInternal {
		c.log.Error("a page failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if q.Status == http.StatusUnauthorized && p.Name == "" && r.Method == http.MethodGet && r.Header.Get("Authorization") == "" {
		_ = to(w, r, "/signin")
		return
	}
	v := view{Page: "problem", Title: c.text.say(problemTitle(q.Status)), Who: p, Data: q, Bare: p.Name == "", Flash: &flash{}}
	if err := c.show(w, r, q.Status, v); err != nil {
		c.log.Error("a page failed", "method", r.Method, "path", r.URL.Path, "error", err)
		http.Error(w, c.text.say("problem.internal"), http.StatusInternalServerError)
	}
}

func problemTitle(status int) string {
	switch status {
	case http.StatusForbidden:
		return "problem.title.forbidden"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "problem.title.notfound"
	case http.StatusTooManyRequests:
		return "problem.title.toomany"
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "problem.title.away"
	}
	return "problem.title.other"
}

// namedURL is the page of an entity by a column of an answer and its value.
func namedURL(column, value string) string {
	if column == "entity" {
		return "/entity/" + url.PathEscape(value)
	}
	return "/entity/" + url.PathEscape(column+":"+value)
}

// share writes a share of all: 0.4 %, 12 %.
func share(f float64) string {
	if f > 0 && f < .1 {
		return fmt.Sprintf("%.2g %%", f*100)
	}
	return fmt.Sprintf("%.0f %%", f*100)
}

// brief is the beginning of a long text, for the line that opens the rest; empty where the
// text is short enough by itself.
func brief(text string) string {
	const most = 180
	if r := []rune(text); len(r) > most+40 {
		return string(r[:most]) + "…"
	}
	return ""
}
