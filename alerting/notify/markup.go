package notify

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// document is a message as it was understood from the text that a template made: blocks
// that are divided by empty lines or by what their lines look like. The plain text and the
// HTML are made of the same blocks.
//
//  1. text        a numbered item; with [x] or [ ] after the dot, one that is done or open
//     - text         an item
//     Name:   value    a row of a table
//     https://…        a link, where it is the case's or the customer's page: nothing else is one
//     text             a paragraph
type document struct {
	Language, Subject, Brand, Tone, Done, Open, Button string
	Customer, Page                                     bool
	Blocks                                             []block
}

type block struct {
	Kind  string // text, list, steps, table, link
	Text  string
	Items []item
}

type item struct {
	Name  string // of a row; the number of a step
	Text  string
	State string // done, open, or none
}

var (
	stepLine = regexp.MustCompile(`^ +(\d+)\. (?:\[([x ])\] )?(.*)$`)
	itemLine = regexp.MustCompile(`^ +- (.*)$`)
	rowLine  = regexp.MustCompile(`^(\p{L}[\p{L} ]{0,15}): +(\S.*)$`)
)

// A first line that is the subject is a paragraph, whatever it looks like.
func parse(subject, body string, links []string) []block {
	var out []block
	last := ""
	body = strings.TrimLeft(body, "\n")
	if rest, ok := strings.CutPrefix(body, subject+"\n"); ok {
		out, last, body = append(out, block{Kind: "text", Text: subject}), "text", rest
	}
	add := func(kind string, it item) {
		if n := len(out); n == 0 || last != kind {
			out = append(out, block{Kind: kind})
		}
		b := &out[len(out)-1]
		b.Items = append(b.Items, it)
		last = kind
	}
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, "\r\n \t")
		switch {
		case line == "":
			last = ""
		case line != "" && slices.Contains(links, strings.TrimSpace(line)):
			out, last = append(out, block{Kind: "link", Text: strings.TrimSpace(line)}), ""
		case stepLine.MatchString(line):
			m := stepLine.FindStringSubmatch(line)
			add("steps", item{m[1], m[3], map[string]string{"x": "done", " ": "open"}[m[2]]})
		case itemLine.MatchString(line):
			add("list", item{Text: itemLine.FindStringSubmatch(line)[1]})
		case rowLine.MatchString(line):
			m := rowLine.FindStringSubmatch(line)
			add("table", item{Name: m[1], Text: m[2]})
		case last == "text":
			out[len(out)-1].Text += " " + strings.TrimSpace(line)
		default:
			out, last = append(out, block{Kind: "text", Text: strings.TrimSpace(line)}), "text"
		}
	}
	return out
}

// width is how long a line of plain text is, in characters: RFC 5322 recommends at
// most 78, and quoted-printable (RFC 2045) cuts beyond 76.
const width = 72

// plain is the document as text. Commands and rows are never cut in two.
func (d *document) plain() string {
	var b strings.Builder
	for i, x := range d.Blocks {
		if i > 0 {
			b.WriteString("\n")
		}
		switch x.Kind {
		case "text":
			wrap(&b, "", "", x.Text)
		case "link":
			b.WriteString(x.Text + "\n")
		case "list":
			for _, it := range x.Items {
				wrap(&b, "  - ", "    ", it.Text)
			}
		case "steps":
			for _, it := range x.Items {
				state := map[string]string{"done": "[" + d.Done + "] ", "open": "[" + d.Open + "] "}[it.State]
				first := "  " + it.Name + ". "
				wrap(&b, first, strings.Repeat(" ", len(first)), state+it.Text)
			}
		case "table":
			longest := 0
			for _, it := range x.Items {
				longest = max(longest, utf8.RuneCountInString(it.Name))
			}
			for _, it := range x.Items {
				b.WriteString(it.Name + ":" + strings.Repeat(" ", longest+2-utf8.RuneCountInString(it.Name)) + it.Text + "\n")
			}
		}
	}
	return b.String()
}

// wrap writes a text in lines. Single words stay whole, however long they are.
func wrap(b *strings.Builder, first, other, text string) {
	lead, n := first, 0
	for word := range strings.FieldsSeq(text) {
		size := utf8.RuneCountInString(word)
		switch {
		case n == 0:
		case n+1+size > width:
			b.WriteString("\n")
			n = 0
		default:
			b.WriteString(" ")
			n++
		}
		if n == 0 {
			b.WriteString(lead)
			n = utf8.RuneCountInString(lead)
			lead = other
		}
		b.WriteString(word)
		n += size
	}
	if n == 0 {
		b.WriteString(strings.TrimRight(first, " "))
	}
	b.WriteString("\n")
}

// Number is a step's number.
func (i item) Number() int { n, _ := strconv.Atoi(i.Name); return n }
