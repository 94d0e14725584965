package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/cmd/internal/backtest"
)

type backtestPrinter struct{ limit, width int }

// ndjson prints each part as an object of its own, with what it is in "record".
func (p backtestPrinter) ndjson(to io.Writer, res *backtest.Result) error {
	out := bufio.NewWriter(to)
	put := func(record string, v any) error {
		b, err := json.Marshal(v, json.Deterministic(true))
		if err != nil {
			return err
		}
		return jsonLine(out, jsontext.Value(fmt.Appendf(nil, "{\"record\":%q,%s", record, b[1:])))
	}
	if err := put("summary", res.Summary); err != nil {
		return err
	}
	for _, x := range res.Policies {
		if err := put("policy", x); err != nil {
			return err
		}
	}
	for i := range res.Stops {
		if err := put("stop", &res.Stops[i]); err != nil {
			return err
		}
	}
	for i := range res.Cases {
		if err := put("case", &res.Cases[i]); err != nil {
			return err
		}
	}
	for _, x := range res.Missing {
		if err := put("missing", map[string]string{"what": x}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// text prints for people: the numbers first, then who, then what could not be seen.
func (p backtestPrinter) text(to io.Writer, res *backtest.Result) error {
	out := bufio.NewWriter(to)
	s := &res.Summary
	fmt.Fprintf(out, "Back-test of %s to %s, after a warm-up of %s\n", s.From.Format(time.RFC3339), s.To.Format(time.RFC3339), short(s.WarmUp))
	for _, m := range res.Missing {
		fmt.Fprintf(out, "  missing: %s\n", clean(m))
	}
	fmt.Fprintln(out)
	table(out, func(w io.Writer) {
		fmt.Fprintln(w, "\tthen\tnow\tboth\tonly then\tonly now\t")
		fmt.Fprintf(w, "decisions\t%d\t%d\t%d\t%d\t%d\t\n", s.Then.Decisions, s.Now.Decisions, s.Same, s.Then.Decisions-s.Same, s.Now.Decisions-s.Same)
		fmt.Fprintf(w, "stops\t%d\t%d\t%d\t%d\t%d\t\n", s.Then.Stops, s.Now.Stops, s.Both, s.OnlyThen, s.OnlyNow)
		fmt.Fprintf(w, "  nobody judged\t%d\t%d\t\t\t\t\n", s.Then.Unjudged, s.Now.Unjudged)
	})
	accuracy(out, s.Then.Accuracy, s.Now.Accuracy)
	if len(res.Policies) > 0 {
		fmt.Fprintln(out, "\nBy policy")
		table(out, func(w io.Writer) {
			fmt.Fprintln(w, "policy\tmode\tverdict\tthen\tnow\tonly then\tonly now\t")
			for _, x := range res.Policies {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t\n", clean(x.Policy), string(x.Mode)+ifSo(x.Trial != "", " ("+clean(x.Trial)+")"), x.Verdict, x.Then, x.Now, x.OnlyThen, x.OnlyNow)
			}
		})
	}
	p.stops(out, "Stopped only now", res.Stops, func(x *backtest.Stop) bool { return x.Then == nil })
	p.stops(out, "Stopped only then", res.Stops, func(x *backtest.Stop) bool { return x.Now == nil })
	p.stops(out, "Stopped in both", res.Stops, func(x *backtest.Stop) bool { return x.Then != nil && x.Now != nil })
	p.cases(out, "Confirmed, and not stopped now", res.Cases, func(x *backtest.Case) bool { return x.Word == "confirmed" && x.Now == nil })
	p.cases(out, "Dismissed, and stopped now", res.Cases, func(x *backtest.Case) bool { return x.Word == "dismissed" && x.Now != nil })
	return out.Flush()
}

func table(out io.Writer, rows func(w io.Writer)) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows(w)
	_ = w.Flush() // out keeps its error
}

func accuracy(out io.Writer, then, now backtest.Accuracy) {
	if then.Confirmed+then.Dismissed == 0 {
		fmt.Fprintln(out, "\nPrecision and recall are unknown: nobody confirmed or dismissed anything of this time.")
		return
	}
	fmt.Fprintln(out)
	table(out, func(w io.Writer) {
		fmt.Fprintln(w, "of cases that people judged\tthen\tnow\t")
		fmt.Fprintf(w, "confirmed, and stopped\t%d of %d\t%d of %d\t\n", then.Right, then.Confirmed, now.Right, now.Confirmed)
		fmt.Fprintf(w, "dismissed, and stopped\t%d of %d\t%d of %d\t\n", then.False, then.Dismissed, now.False, now.Dismissed)
		fmt.Fprintf(w, "precision\t%s\t%s\t\n", percent(then.Precision()), percent(now.Precision()))
		fmt.Fprintf(w, "recall\t%s\t%s\t\n", percent(then.Recall()), percent(now.Recall()))
	})
}

func percent(share float64, known bool) string {
	if !known {
		return "unknown"
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

func (p backtestPrinter) stops(out io.Writer, title string, all []backtest.Stop, is func(*backtest.Stop) bool) {
	n := 0
	for i := range all {
		x := &all[i]
		if !is(x) {
			continue
		}
		if n++; n == 1 {
			fmt.Fprintf(out, "\n%s\n", title)
		}
		if p.limit > 0 && n > p.limit {
			continue
		}
		side, when := x.Now, ""
		switch {
		case side == nil:
			side = x.Then
		case x.Then != nil && !x.Then.Time.Equal(x.Now.Time):
			when = " (then " + x.Then.Time.Format(time.RFC3339) + ")"
		}
		p.line(out, fmt.Sprintf("%s %s%s by %s%s%s: %s", side.Time.Format(time.RFC3339), x.Entity.Key(), when,
			strings.Join(side.Policies, ", "), ifSo(side.Braked, ", braked"), ifSo(x.Judged != "", ", "+x.Judged), side.Reason))
	}
	p.more(out, n)
}

func (p backtestPrinter) cases(out io.Writer, title string, all []backtest.Case, is func(*backtest.Case) bool) {
	n := 0
	for i := range all {
		x := &all[i]
		if !is(x) {
			continue
		}
		if n++; n == 1 {
			fmt.Fprintf(out, "\n%s\n", title)
		}
		if p.limit == 0 || n <= p.limit {
			p.line(out, fmt.Sprintf("%s %s, %s by %s: %s", x.Opened.Format(time.RFC3339), x.Entity.Key(), x.Word, x.By, x.Why))
		}
	}
	p.more(out, n)
}

// line prints one item, cut where the terminal ends: the whole of it is in --json.
func (p backtestPrinter) line(out io.Writer, text string) {
	runes := []rune(clean(text))
	if most := p.width - 2; len(runes) > most {
		runes = append(runes[:most-1], '…')
	}
	fmt.Fprintf(out, "  %s\n", string(runes))
}

func (p backtestPrinter) more(out io.Writer, n int) {
	if p.limit > 0 && n > p.limit {
		fmt.Fprintf(out, "  and %d more: --limit 0 names all\n", n-p.limit)
	}
}

func ifSo(so bool, text string) string {
	if so {
		return text
	}
	return ""
}
