package notify

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"holdfast/schemas"
)

//go:embed templates/*.txt templates/mail.html
var files embed.FS

// WriterConfig is what messages are written with; the zero value writes Holdfast's own words.
type WriterConfig struct {
	// Folder holds files that take the place of Holdfast's own, by their names.
	Folder string
	// CaseURL is where people look at a case, CustomerURL where the customer does. {case},
	// {kind}, {id} and {account} stand for what they name. Empty: nowhere.
	CaseURL, CustomerURL string
	// Token signs the customer into the page of a case: it takes the place of {token} in
	// CustomerURL. Only cases of accounts have such a page.
	Token func(account, id string, at time.Time) string
	// Support is how customers reach a person; empty: by answering the message.
	Support string
	// Brand is who writes, at the head of mails to customers.
	Brand string
}

// Writer makes the words of messages. It is safe for concurrent use.
type Writer struct {
	cfg       WriterConfig
	languages map[string]*template.Template
	own       map[string]*template.Template // Holdfast's, for where the folder's fail
	html      *htmltemplate.Template
}

// DefaultLanguage is that of every message for which no other is asked.
const DefaultLanguage = "en"

// customerFiles are the templates of messages to customers, by what happened.
var customerFiles = map[What]string{
	Slowed: "slowed", Stopped: "stopped", Revoked: "revoked", Progress: "progress", Relapsed: "relapsed", Released: "released", Probation: "probation", Closed: "closed",
}

// parts are all templates that a language consists of.
func parts() []string {
	out := []string{"words", "operator", "digest"}
	for _, name := range customerFiles {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

var fileName = regexp.MustCompile(`^([a-z]+)\.([a-z]{2}(?:-[a-z0-9]{2,8})?)\.txt$`)

// maxTemplate is the largest template file, in bytes.
const maxTemplate = 256 << 10

// NewWriter reads the templates and tries each of them. The error names every file that
// cannot be used.
func NewWriter(cfg WriterConfig) (*Writer, error) {
	w := &Writer{cfg: cfg}
	shipped, page := map[string]string{}, ""
	entries, err := files.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		b, err := files.ReadFile(path.Join("templates", e.Name()))
		if err != nil {
			return nil, err
		}
		if e.Name() == htmlFile {
			page = string(b)
		} else {
			shipped[e.Name()] = string(b)
		}
	}
	if w.own, err = compile(shipped, nil); err != nil {
		return nil, err
	}
	if w.html, err = htmltemplate.New(htmlFile).Parse(page); err != nil {
		return nil, err
	}
	w.languages = w.own
	if err := errors.Join(wrongURL("case_url", cfg.CaseURL), wrongURL("customer_url", strings.ReplaceAll(cfg.CustomerURL, tokenPlace, "x"))); err != nil {
		return nil, err
	}
	if cfg.Folder == "" {
		return w, nil
	}
	if err := w.override(shipped); err != nil {
		return nil, fmt.Errorf("templates of %s: %w", cfg.Folder, err)
	}
	return w, nil
}

// Default is the Writer of Holdfast's own words.
var Default = func() *Writer {
	w, err := NewWriter(WriterConfig{})
	if err != nil {
		panic(err)
	}
	return w
}()

const htmlFile = "mail.html"

func (w *Writer) override(shipped map[string]string) error {
	entries, err := os.ReadDir(w.cfg.Folder)
	if err != nil {
		return err
	}
	all, theirs := map[string]string{}, map[string]bool{}
	for name, text := range shipped {
		all[name] = text
	}
	var errs []error
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		m := fileName.FindStringSubmatch(name)
		if name != htmlFile && (m == nil || !slices.Contains(parts(), m[1])) {
			errs = append(errs, fmt.Errorf("%s is no template: the names are %s with .LANGUAGE.txt, and %s", name, strings.Join(parts(), ", "), htmlFile))
			continue
		}
		b, err := readFile(filepath.Join(w.cfg.Folder, name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if name == htmlFile {
			if w.html, err = htmltemplate.New(name).Parse(string(b)); err != nil {
				errs = append(errs, err)
			}
			continue
		}
		all[name], theirs[name] = string(b), true
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if w.languages, err = compile(all, theirs); err != nil {
		return err
	}
	return w.try()
}

func readFile(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxTemplate {
		return nil, fmt.Errorf("%s has %d bytes: a template has at most %d", name, st.Size(), maxTemplate)
	}
	return os.ReadFile(name)
}

// compile makes a set of each language. One that has not all parts takes those that it lacks
// from DefaultLanguage.
func compile(texts map[string]string, theirs map[string]bool) (map[string]*template.Template, error) {
	out := map[string]*template.Template{}
	var errs []error
	names := slices.Sorted(func(yield func(string) bool) {
		for n := range texts {
			if !yield(n) {
				return
			}
		}
	})
	for _, name := range names {
		m := fileName.FindStringSubmatch(name)
		if m == nil {
			return nil, fs.ErrInvalid
		}
		if out[m[2]] != nil {
			continue
		}
		set := template.New(m[2]).Option("missingkey=error").Funcs(template.FuncMap{"percent": percent})
		for _, part := range parts() {
			from := part + "." + m[2] + ".txt"
			text, ok := texts[from]
			if !ok {
				from = part + "." + DefaultLanguage + ".txt"
				text = texts[from]
			}
			if _, err := set.New(part).Parse(text); err != nil {
				errs = append(errs, err)
			}
		}
		out[m[2]] = set
	}
	return out, errors.Join(errs...)
}

func percent(share float64) string { return fmt.Sprintf("%3.0f %%", 100*share) }

// try writes every message once, so that a mistake shows when the program starts.
func (w *Writer) try() error {
	var errs []error
	for _, lang := range w.Languages() {
		for _, s := range Samples() {
			if _, err := w.write(w.languages, s.Audience, lang, s.Occasions); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// Languages are those that there are words in.
func (w *Writer) Languages() []string {
	var out []string
	for l := range w.languages {
		out = append(out, l)
	}
	slices.Sort(out)
	return out
}

// Text is what a message says: its subject in one line, its body as plain text, and the
// same as HTML.
type Text struct {
	Subject, Body, HTML string
}

// Write makes the words of one occasion, or of several, oldest first. What the operator's
// templates cannot write is written by Holdfast's own.
func (w *Writer) Write(audience, language string, about []*Occasion) Text {
	if w == nil {
		w = Default
	}
	t, err := w.write(w.languages, audience, language, about)
	if err != nil {
		if t, err = w.write(w.own, audience, language, about); err != nil {
			return Text{Subject: "Holdfast", Body: "the message could not be written: " + err.Error()}
		}
	}
	return t
}

func (w *Writer) write(sets map[string]*template.Template, audience, language string, about []*Occasion) (Text, error) {
	set := sets[language]
	if set == nil {
		language, set = DefaultLanguage, sets[DefaultLanguage]
	}
	name := "digest"
	var data any
	var links []string
	if len(about) == 1 {
		o := about[0]
		if name = "operator"; audience == AudienceCustomer {
			name = customerFiles[o.What]
		}
		v := w.view(set, audience, o)
		data, links = v, []string{v.CaseURL, v.PageURL}
	} else {
		data = gathered(set, about)
	}
	if name == "" {
		return Text{}, fmt.Errorf("there are no words for customers about %q", about[0].What)
	}
	var b bytes.Buffer
	if err := set.ExecuteTemplate(&b, name, data); err != nil {
		return Text{}, fmt.Errorf("%s.%s.txt: %w", name, language, err)
	}
	line, body, _ := strings.Cut(strings.TrimLeft(b.String(), "\n "), "\n")
	subject, ok := strings.CutPrefix(line, "Subject: ")
	if !ok {
		return Text{}, fmt.Errorf("%s.%s.txt does not begin with a line \"Subject: …\"", name, language)
	}
	subject = strings.TrimSpace(subject)
	doc := document{
		Language: language, Subject: oneLine(subject), Customer: audience == AudienceCustomer, Brand: w.cfg.Brand,
		Page: len(about) == 1 && about[0].Page, Done: word(set, "done"), Open: word(set, "open"), Blocks: parse(subject, body, links),
	}
	doc.Button = buttonOf(set, audience)
	if doc.Tone = "bad"; len(about) == 1 {
		doc.Tone = tone(about[0].What)
	}
	var h bytes.Buffer
	if err := w.html.Execute(&h, doc); err != nil {
		return Text{}, fmt.Errorf("%s: %w", htmlFile, err)
	}
	return Text{doc.Subject, doc.plain(), h.String()}, nil
}

// word executes a template that takes no data.
func word(set *template.Template, name string) string { return phrase(set, name, nil) }

func phrase(set *template.Template, name string, data any) string {
	var b strings.Builder
	if err := set.ExecuteTemplate(&b, name, data); err != nil {
		return "(" + name + ")"
	}
	return b.String()
}

func buttonOf(set *template.Template, audience string) string {
	if audience == AudienceCustomer {
		return word(set, "open_page")
	}
	return word(set, "open_case")
}

func (w *Writer) button(audience, language string) string {
	if w == nil {
		w = Default
	}
	set := w.languages[language]
	if set == nil {
		set = w.own[DefaultLanguage]
	}
	return buttonOf(set, audience)
}

// tone is the colour of a message.
func tone(w What) string {
	switch w {
	case Released, Closed, Resolved, Probation:
		return "good"
	case Stopped, Relapsed, Repeated, Tripped, Overdue, Gone, Refused:
		return "bad"
	}
	return "warn"
}

// caseURL is where the audience looks at the case.
func (w *Writer) caseURL(audience string, o *Occasion) string {
	if w == nil {
		return ""
	}
	pattern := w.cfg.CaseURL
	if audience == AudienceCustomer {
		pattern = w.cfg.CustomerURL
	}
	if pattern == "" || o.Case == "" {
		return ""
	}
	if audience == AudienceCustomer && strings.Contains(pattern, tokenPlace) {
		if w.cfg.Token == nil || o.Entity.Kind != schemas.KindAccount {
			return ""
		}
		pattern = strings.ReplaceAll(pattern, tokenPlace, w.cfg.Token(o.Entity.ID, o.Case, o.Time))
	}
	return strings.NewReplacer("{case}", escaped(o.Case), "{kind}", escaped(string(o.Entity.Kind)), "{id}", escaped(o.Entity.ID), "{account}", escaped(o.Account)).Replace(pattern)
}

// escaped writes a text as a part of a URL's path; dots too, so that it is no link itself.
func escaped(s string) string { return strings.ReplaceAll(url.PathEscape(s), ".", "%2E") }

// tokenPlace is where the signed token belongs in the address of the customer's page.
const tokenPlace = "{token}"

func wrongURL(key, pattern string) error {
	if pattern == "" {
		return nil
	}
	if strings.Contains(pattern, tokenPlace) {
		return fmt.Errorf("%s has the place {token}, which lets in whoever reads it: it belongs in customer_url alone", key)
	}
	u, err := url.Parse(strings.NewReplacer("{case}", "x", "{kind}", "x", "{id}", "x", "{account}", "x").Replace(pattern))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsAny(pattern, " \"<>{}\n") && strings.ContainsAny(u.String(), " \"<>{}\n") {
		return fmt.Errorf("%s is no address: write https://host/path, with {case} where the case's id belongs", key)
	}
	return nil
}

// printable is text of strangers, of which nothing can be clicked and nothing breaks a line.
func printable(s string) string { return schemas.Unlinked(s) }
