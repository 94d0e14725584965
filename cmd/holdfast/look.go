package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"holdfast/alerting/api"
	"holdfast/cmd/internal/config"
	"holdfast/schemas"
)

type statusCmd struct {
	Entity string `arg:"" help:"kind:id, or the id of an account or an address alone."`
	JSON   bool   `help:"As JSON."`
}

// Run asks what stands; the audit store is not needed.
func (s *statusCmd) Run(ctx context.Context, c *common) error {
	e, err := c.entity(s.Entity)
	if err != nil {
		return err
	}
	v, err := ask[api.EntityView](ctx, c, entityPath(e), nil)
	if err != nil {
		return err
	}
	if !v.Decided {
		return s.undecided(ctx, c, v)
	}
	st, p := v.Status, progress(v.CarriedOut)
	if s.JSON {
		return printJSON(statusJSON{st, schemas.ActsOf(&st), v.CarriedOut})
	}
	is := "is"
	if !p.inForce() {
		is = "is to be"
	}
	fmt.Printf("%s %s %s since %s\n", clean(e.Key()), is, clean(st.Status), st.Since.UTC().Format(time.RFC3339))
	fmt.Printf("  decided   %s (%s), episode %d, step %d\n", clean(st.Decision), st.Verdict, st.Episode, st.Step)
	for _, line := range p.lines() {
		fmt.Println(" ", line)
	}
	for _, line := range inForce(&st) {
		fmt.Println(" ", line)
	}
	if st.By != "" {
		fmt.Printf("  by        %s\n", clean(st.By))
	}
	if st.Reason != "" {
		fmt.Printf("  reason    %s\n", clean(st.Reason))
	}
	if v.Case != nil {
		fmt.Printf("  case      %s, %s\n", clean(v.Case.ID), v.Case.Stage)
	}
	return nil
}

// inForce says what receivers are asked for, each act with the verb that undoes it.
func inForce(st *schemas.Status) []string {
	var out []string
	for _, a := range schemas.ActsOf(st) {
		line := fmt.Sprintf("act       %s %s", a.Do, clean(a.Object))
		if a.PerDay > 0 {
			line += fmt.Sprintf(", %d recipients a day", a.PerDay)
		}
		if a.Inverse != "" {
			line += fmt.Sprintf(" (undone by %s)", a.Inverse)
		}
		out = append(out, line)
	}
	return out
}

type statusJSON struct {
	schemas.Status
	Acts       []schemas.Act `json:"acts"` // what receivers are asked for
	CarriedOut []api.Receipt `json:"carried_out"`
}

// undecided says what is known of an entity about which nothing was decided.
func (s *statusCmd) undecided(ctx context.Context, c *common, v api.EntityView) error {
	name := clean(v.Entity.Key())
	for end := time.Now().Add(lookFor); v.Known != nil && !*v.Known && time.Now().Before(end); { // what has just come in becomes a row within that
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		var err error
		if v, err = ask[api.EntityView](ctx, c, entityPath(v.Entity), nil); err != nil {
			return err
		}
	}
	switch {
	case v.Known == nil:
		return fmt.Errorf("nothing was ever decided about %s, and the audit store does not say whether it is known", name)
	case !*v.Known:
		return fmt.Errorf("%s is unknown: no event and no decision is recorded: look whether the name is right", name)
	case s.JSON:
		return printJSON(v.Status)
	}
	_, err := fmt.Printf("%s is active: nothing was ever decided about it\n", name)
	return err
}

// lookFor is how long an entity of which nothing is recorded is looked for.
const lookFor = 5 * time.Second

type timelineCmd struct {
	Entity string `arg:"" help:"kind:id, or the id of an account or an address alone."`
	Since  string `placeholder:"WHEN" help:"How far back (24h, 30d), or a time (2026-01-02T15:04:05Z)."`
	Limit  int    `default:"1000" help:"Show this many of the newest entries; 0: all."`
	Trial  bool   `default:"true" negatable:"" help:"Show what detectors' numbers on trial found and decided."`
	Events bool   `default:"true" negatable:"" help:"Show events, not only findings, decisions and acts."`
	JSON   bool   `help:"One JSON object a line."`
}

// Run prints an entity's history.
func (t *timelineCmd) Run(ctx context.Context, c *common) error {
	e, err := c.entity(t.Entity)
	if err != nil {
		return err
	}
	since, err := pastTime("--since", t.Since, time.Now())
	if err != nil {
		return err
	}
	query := url.Values{"limit": {"10000"}}
	if t.Limit > 0 {
		query.Set("limit", strconv.Itoa(min(t.Limit, 10_000)))
	}
	if !since.IsZero() {
		query.Set("since", since.UTC().Format(time.RFC3339))
	}
	if !t.Trial {
		query.Set("trials", "no")
	}
	if !t.Events {
		query.Set("events", "no")
	}
	entries, err := pages[api.Entry](ctx, c, entityPath(e)+"/timeline", query, t.Limit)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	p := printer{w: out, colour: term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "", width: 110}
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 40 {
		p.width = w
	}
	for _, entry := range slices.Backward(entries) {
		if t.JSON {
			if err := jsonLine(out, entry); err != nil {
				return err
			}
			continue
		}
		p.entry(entry)
	}
	if len(entries) > 0 {
		return nil
	}
	// Nothing happened in the time that was asked for, or nothing is known of the entity at
	// all, as of a mistyped name.
	v, err := ask[api.EntityView](ctx, c, entityPath(e), nil)
	if err != nil {
		return err
	}
	if v.Known != nil && !*v.Known {
		return fmt.Errorf("%s is unknown: no event and no decision is recorded: look whether the name is right", clean(e.Key()))
	}
	_, err = fmt.Fprintf(out, "nothing is recorded about %s%s\n", clean(e.Key()), sinceText(since))
	return err
}

func sinceText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + t.UTC().Format(time.RFC3339)
}

// pastTime reads a flag that names a time or how long ago it is; empty is the zero time.
func pastTime(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := config.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q: write a length of time (24h, 30d), a time (2026-01-02T15:04:05Z) or a day (2026-01-02)", flag, s)
}

// printer writes entries for people: the time, what it is, and a sentence, folded
// to the terminal's width.
type printer struct {
	w      io.Writer
	colour bool
	width  int
	day    string
}

var colours = map[schemas.Kind]string{
	schemas.KindSignal: "\x1b[33m", schemas.KindTrial: "\x1b[2m", schemas.KindDecision: "\x1b[31m", schemas.KindAction: "\x1b[36m", schemas.KindNotice: "\x1b[36m", schemas.KindOperator: "\x1b[32m",
}

const indent = 21 // "15:04:05  decision   "

func (p *printer) entry(e api.Entry) {
	t := e.At.UTC()
	if e.Late {
		t = e.Found.UTC()
	}
	if day := t.Format("Monday, 2 January 2006"); day != p.day {
		p.day = day
		fmt.Fprintf(p.w, "\n%s (UTC)\n", day)
	}
	on, off := "", ""
	if c := colours[e.Kind]; p.colour && c != "" {
		on, off = c, "\x1b[0m"
	}
	lines := fold(clean(e.Text), max(20, p.width-indent))
	fmt.Fprintf(p.w, "%s  %s%-10s%s %s\n", t.Format("15:04:05"), on, e.Kind, off, lines[0])
	for _, l := range lines[1:] {
		fmt.Fprintf(p.w, "%*s%s\n", indent, "", l)
	}
}

// fold breaks text between words, and words that are longer than a line.
func fold(s string, width int) []string {
	var out []string
	line := ""
	for word := range pieces(s, width) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			out, line = append(out, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(out, line)
}

// pieces gives the words of a text, those that are too long in parts.
func pieces(s string, width int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for word := range strings.FieldsSeq(s) {
			for part := range slices.Chunk([]rune(word), width) {
				if !yield(string(part)) {
					return
				}
			}
		}
	}
}

// clean makes text that an attacker chose harmless on a terminal: what cannot be shown
// stands there as an escape.
func clean(s string) string { return schemas.Printable(s) }
