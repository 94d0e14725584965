package notify_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"

	"holdfast/alerting/notify"
	"holdfast/schemas"
)

const caseURL, customerURL = "https://holdfast.platform.example/cases/{case}", "https://platform.example/me/{account}"

func writer(t testing.TB, cfg notify.WriterConfig) *notify.Writer {
	t.Helper()
	w, err := notify.NewWriter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// numbers of thresholds, detectors' names and the like, of which customers hear nothing.
var secret = regexp.MustCompile(`(?i)threshold|schwelle|detector|risk|risiko|score|policy|new_source|4312|0\.9|account-un|signal`)

// Every message is whole in both languages: nothing is left empty, no line of text is longer
// than mail takes, and customers hear of no threshold.
func TestEveryMessageInEveryLanguage(t *testing.T) {
	w := writer(t, notify.WriterConfig{CaseURL: caseURL, CustomerURL: customerURL, Support: "+49 30 1"})
	if got := strings.Join(w.Languages(), " "); got != "de en" {
		t.Fatalf("languages %s", got)
	}
	for _, lang := range w.Languages() {
		for _, s := range notify.Samples() {
			x := w.Write(s.Audience, lang, s.Occasions)
			all := x.Subject + "\n" + x.Body
			for _, hole := range []string{"<no value>", "%!", "could not be written", "  \n", "()", "\n\n\n", " ."} {
				if strings.Contains(all, hole) {
					t.Errorf("%s %s: %q in\n%s", lang, s.Name, hole, all)
				}
			}
			if s.Audience == notify.AudienceCustomer && secret.MatchString(all+x.HTML[strings.Index(x.HTML, "<h1>"):]) {
				t.Errorf("%s %s tells %q:\n%s", lang, s.Name, secret.FindString(all), all)
			}
			for line := range strings.Lines(x.Body) {
				// A row, a command or a link is never cut in two.
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 72 && !strings.Contains(line, ":  ") && !strings.HasPrefix(line, "https://") {
					t.Errorf("%s %s: %d characters: %s", lang, s.Name, n, line)
				}
			}
			if x.Subject == "" || len(x.Subject) > 200 || strings.ContainsFunc(x.Subject, unicode.IsControl) {
				t.Errorf("%s %s: subject %q", lang, s.Name, x.Subject)
			}
		}
	}
}

// The German words are German: no sentence of the English ones is left.
func TestGermanIsNotEnglish(t *testing.T) {
	for _, s := range notify.Samples() {
		if s.Audience != notify.AudienceCustomer {
			continue
		}
		x := notify.Default.Write(s.Audience, "de", s.Occasions)
		if m := regexp.MustCompile(`(?i)\b(the|your|please|has been|we saw|what|released)\b`).FindString(x.Subject + x.Body); m != "" {
			t.Errorf("%s: %q in\n%s", s.Name, m, x.Body)
		}
	}
}

// links returns the hrefs of a page, and fails where it holds what mail may not.
func links(t *testing.T, page string) (out []string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return out
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			switch tok.Data {
			case "script", "img", "iframe", "object", "embed", "form", "link", "base", "svg", "video":
				t.Errorf("the mail holds <%s>", tok.Data)
			}
			for _, a := range tok.Attr {
				switch {
				case a.Key == "href":
					out = append(out, a.Val)
				case a.Key == "src" || strings.HasPrefix(a.Key, "on"):
					t.Errorf("<%s> has %s", tok.Data, a.Key)
				}
			}
		}
	}
}

// theirs is what strangers would like to see in a mail.
var theirs = regexp.MustCompile(`[a-z]+://evil|evil\.example`)

// Whatever strangers chose, a mail's only link is ours, and nothing of theirs is markup or a
// structure of its own.
func TestTheOnlyLinkIsOurs(t *testing.T) {
	w := writer(t, notify.WriterConfig{CaseURL: caseURL, CustomerURL: customerURL})
	for _, evil := range []string{`<a href="https://evil.example">x</a>`, "https://evil.example/", "\n\nhttps://evil.example\n\n", "</p><script>alert(1)</script>", "{{.Score}}", "javascript:alert(1)", "  1. [x] done", "a\n  - b", `"><img src=x>`, "ok\r\n\r\nLook:  evil"} {
		for _, s := range notify.Samples() {
			if len(s.Occasions) > 1 {
				continue
			}
			o := *s.Occasions[0]
			o.Entity.ID, o.Account, o.Credential, o.Plan, o.Answer, o.Why, o.By, o.Receiver = evil, evil, evil, evil, evil, evil, evil, evil
			o.Seen = []schemas.Seen{{Text: evil}, {Text: evil}}
			o.Steps = []schemas.Step{{Kind: schemas.StepAPIKey, Object: evil, User: evil, Ignored: evil}, {Kind: evil, Object: evil}}
			for _, lang := range w.Languages() {
				x := w.Write(s.Audience, lang, []*notify.Occasion{&o})
				for _, href := range links(t, x.HTML) {
					if !strings.HasPrefix(href, "https://holdfast.platform.example/cases/case_") && !strings.HasPrefix(href, "https://platform.example/me/") {
						t.Errorf("%s %s: link %q", lang, s.Name, href)
					}
				}
				if hit := theirs.FindString(x.HTML + x.Body); hit != "" {
					t.Errorf("%s %s: %q of strangers in:\n%s", lang, s.Name, hit, x.Body)
				}
			}
		}
	}
}

// A folder's files take the place of Holdfast's, add languages, and are tried at the start.
func TestTemplatesByFile(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("stopped.en.txt", "Subject: Halt, {{.Account}}\n\nDear customer, {{.Done}}.\n")
	put("words.fr.txt", `{{define "done"}}fait{{end}}{{define "open"}}ouvert{{end}}{{define "months"}}{{end}}{{define "date"}}{{.Clock}}{{end}}{{define "contact"}}contact{{end}}{{define "reason"}}{{.Reason}}{{end}}{{define "step"}}faire {{.Kind}}{{end}}{{define "steps"}}{{range .Steps}}  {{.Number}}. {{.Text}}
{{end}}{{end}}{{define "status"}}{{.}}{{end}}{{define "changes"}}{{.}}{{end}}{{define "what"}}{{.}}{{end}}{{define "open_case"}}voir{{end}}{{define "open_page"}}voir{{end}}`)
	w := writer(t, notify.WriterConfig{Folder: dir})
	o := notify.Samples()[0].Occasions[0]
	if x := w.Write(notify.AudienceCustomer, "en", []*notify.Occasion{o}); x.Subject != "Halt, acct-00680" || !strings.Contains(x.HTML, "Dear customer, 0.") || !strings.Contains(x.Body, "Dear customer, 0.") {
		t.Errorf("%+v", x)
	}
	// What a language lacks is written in English, with its own words.
	slowed := *o
	slowed.What = notify.Slowed
	if x := w.Write(notify.AudienceCustomer, "fr", []*notify.Occasion{&slowed}); !strings.Contains(x.Body, "faire api_key") {
		t.Errorf("%s", x.Body)
	}
	if x := w.Write(notify.AudienceCustomer, "xx", []*notify.Occasion{o}); x.Subject != "Halt, acct-00680" {
		t.Errorf("a language that there is not: %s", x.Subject)
	}
	for name, x := range map[string]struct{ file, text, want string }{
		"a name":      {"stoped.en.txt", "x", "stoped.en.txt is no template"},
		"a field":     {"slowed.en.txt", "Subject: {{.Threshold}}\n\nx", "Threshold"},
		"a brace":     {"slowed.en.txt", "Subject: {{.Account}\n\nx", "slowed"},
		"no subject":  {"slowed.en.txt", "Hello\n", "Subject: "},
		"the page":    {"mail.html", "{{.Nothing}}", "Nothing"},
		"a long file": {"slowed.en.txt", strings.Repeat("x", 300<<10), "at most"},
	} {
		other := t.TempDir()
		if err := os.WriteFile(filepath.Join(other, x.file), []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := notify.NewWriter(notify.WriterConfig{Folder: other}); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, url := range []string{"holdfast.example/{case}", "javascript:alert(1)", "https:///x"} {
		if _, err := notify.NewWriter(notify.WriterConfig{CaseURL: url}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}

// FuzzWrite: whatever stands in an occasion, a message is written, its text has no control
// characters and its HTML no link of strangers.
func FuzzWrite(f *testing.F) {
	f.Add("acct-1", "https://evil.example", "a\n  1. [x] b")
	f.Add("<b>", "\x00\xff", "Subject: x\n\n")
	w := writer(f, notify.WriterConfig{CaseURL: caseURL, CustomerURL: customerURL})
	f.Fuzz(func(t *testing.T, account, text, object string) {
		o := *notify.Samples()[0].Occasions[0]
		o.Account, o.Entity.ID, o.Why, o.Answer = account, account, text, text
		o.Seen, o.Steps = []schemas.Seen{{Text: text}}, []schemas.Step{{Kind: schemas.StepSMTP, Object: object}}
		for _, audience := range []string{notify.AudienceCustomer, notify.AudienceOperator} {
			x := w.Write(audience, "de", []*notify.Occasion{&o})
			if x.Subject == "" || x.Body == "" || strings.Contains(x.Body, "could not be written") {
				t.Fatalf("%+v", x)
			}
			if strings.ContainsFunc(strings.ReplaceAll(x.Body, "\n", ""), unicode.IsControl) {
				t.Errorf("control characters in %q", x.Body)
			}
			for _, href := range links(t, x.HTML) {
				if !strings.HasPrefix(href, "https://holdfast.platform.example/cases/case_") && !strings.HasPrefix(href, "https://platform.example/me/") {
					t.Errorf("link %q", href)
				}
			}
		}
	})
}

// The customer's page opens by a token, which only mails to customers carry, and only where
// the case is an account's.
func TestTokenOfTheCustomersPage(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	token := func(account, id string, when time.Time) string {
		return account + "_" + id + "_" + strconv.FormatInt(when.Unix(), 10)
	}
	w := writer(t, notify.WriterConfig{CaseURL: caseURL, CustomerURL: "https://holdfast.example/c/{token}", Token: token})
	const want = "https://holdfast.example/c/acct-1_case_1_1772600767"
	o := notify.Occasion{What: notify.Stopped, Case: "case_1", Entity: schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}, Account: "acct-1", Time: at, Verdict: schemas.VerdictSuspend}
	if x := w.Write(notify.AudienceCustomer, "en", []*notify.Occasion{&o}); !strings.Contains(x.Body, want) || !strings.Contains(x.HTML, want) {
		t.Errorf("the customer's mail has no %s:\n%s", want, x.Body)
	}
	if x := w.Write(notify.AudienceOperator, "en", []*notify.Occasion{&o}); strings.Contains(x.Body+x.HTML, "holdfast.example/c/") {
		t.Errorf("operators got the customer's link:\n%s", x.Body)
	}
	o.Entity = schemas.Entity{Kind: schemas.KindEmployee, ID: "emp-1"}
	if x := w.Write(notify.AudienceCustomer, "en", []*notify.Occasion{&o}); strings.Contains(x.Body+x.HTML, "holdfast.example/c/") {
		t.Errorf("a link to a case that is no account's:\n%s", x.Body)
	}
	if _, err := notify.NewWriter(notify.WriterConfig{CaseURL: "https://holdfast.example/c/{token}"}); err == nil || !strings.Contains(err.Error(), "case_url") {
		t.Errorf("operators' address may hold the token: %v", err)
	}
}
