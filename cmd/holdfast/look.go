package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/history"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

type statusCmd struct {
	Entity string `arg:"" help:"kind:id, or the id of an account or an address alone."`
	JSON   bool   `help:"As JSON."`
}

// Run reads the status topic; the audit store is not needed.
func (s *statusCmd) Run(ctx context.Context, c *common) error {
	e, err := c.entity(s.Entity)
	if err != nil {
		return err
	}
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	st, known, err := app.ReadStatus(ctx, client, &cfg, e)
	if err != nil {
		return err
	}
	if !known {
		return s.undecided(ctx, cfg, client, st)
	}
	x, err := app.ReadEnforced(ctx, client, &cfg, e)
	if err != nil {
		return err
	}
	p := progressOf(st, x)
	if s.JSON {
		return printJSON(statusJSON{st, schemas.ActsOf(&st), p})
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
	CarriedOut progress      `json:"carried_out"`
}

// undecided says what is known of an entity about which nothing was decided.
func (s *statusCmd) undecided(ctx context.Context, cfg config.Config, client *kafka.Client, st schemas.Status) error {
	name := clean(st.Entity.Key())
	switch is, err := knows(ctx, client, cfg, st.Entity); {
	case is == known && err == nil && s.JSON:
		return printJSON(st)
	case is == known && err == nil:
		_, err = fmt.Printf("%s is active: nothing was ever decided about it\n", name)
		return err
	case is == unknown:
		return fmt.Errorf("%s is unknown: no event and no decision is recorded: look whether the name is right", name)
	case is == unlooked:
		return fmt.Errorf("nothing was ever decided about %s, and the audit store does not say whether it is known: %w", name, err)
	default:
		return err
	}
}

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
	cfg, err := c.running()
	if err != nil {
		return err
	}
	store, err := app.OpenStore(&cfg, quiet())
	if err != nil {
		return err
	}
	defer store.Close()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	p := printer{w: out, of: e, colour: term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "", width: 110}
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 40 {
		p.width = w
	}
	n, past := 0, history.New(store)
	if !t.Trial {
		past = past.WithoutTrials()
	}
	if !t.Events {
		past = past.WithoutEvents()
	}
	for entry, err := range past.Timeline(ctx, e, since, t.Limit) {
		if err != nil {
			return fmt.Errorf("the audit store did not answer: %w", err)
		}
		n++
		if t.JSON {
			if err := jsonLine(out, recorded(entry)); err != nil {
				return err
			}
			continue
		}
		p.entry(entry)
	}
	if n > 0 {
		return nil
	}
	return nothingRecorded(ctx, past, e, since)
}

// nothingRecorded says why a timeline is empty: nothing happened in the time that was
// asked for, or nothing is known of the entity at all, as of a mistyped name.
func nothingRecorded(ctx context.Context, past *history.History, e schemas.Entity, since time.Time) error {
	name := clean(e.Key())
	if !since.IsZero() {
		for _, err := range past.Timeline(ctx, e, time.Time{}, 1) {
			if err != nil {
				return fmt.Errorf("the audit store did not answer: %w", err)
			}
			_, err := fmt.Printf("nothing is recorded about %s%s\n", name, sinceText(since))
			return err
		}
	}
	return fmt.Errorf("%s is unknown: no event and no decision is recorded: look whether the name is right", name)
}

// recorded is an entry whose event has the names that its schema has.
func recorded(e history.Entry) any {
	if e.Event == nil {
		return e
	}
	return struct {
		history.Entry
		Event map[string]any `json:"event"`
	}{e, app.EventFields(e.Event)}
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
	of     schemas.Entity
	day    string
}

var colours = map[schemas.Kind]string{
	schemas.KindSignal: "\x1b[33m", schemas.KindTrial: "\x1b[2m", schemas.KindDecision: "\x1b[31m", schemas.KindAction: "\x1b[36m", schemas.KindNotice: "\x1b[36m", schemas.KindOperator: "\x1b[32m",
}

const indent = 21 // "15:04:05  decision   "

func (p *printer) entry(e history.Entry) {
	t := e.Time.UTC()
	if e.FoundLate() {
		t = e.Arrival.UTC()
	}
	if day := t.Format("Monday, 2 January 2006"); day != p.day {
		p.day = day
		fmt.Fprintf(p.w, "\n%s (UTC)\n", day)
	}
	on, off := "", ""
	if c := colours[e.Kind]; p.colour && c != "" {
		on, off = c, "\x1b[0m"
	}
	lines := fold(clean(app.Describe(e, p.of)), max(20, p.width-indent))
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
