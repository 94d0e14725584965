package notify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"holdfast/schemas"
)

// View is what a template can name. Text that strangers chose stands in it so that nothing
// of it can be clicked, breaks a line or steers a terminal.
type View struct {
	What     string // what happened, one of Whats
	Entity   string // kind:id
	Kind     string // account, ip, employee
	Account  string
	Arg      string // the entity as one word of a shell's command
	Verdict  string
	Proposed string // before the brake
	Stopped  string // suspended, blocked or revoked: what the verdict does
	Severity string
	Policy   string
	Version  int
	Plan     string
	Time     string // RFC 3339
	When     string // day and time in words
	Window   string // of the compromise, where it is known
	Sure     string // of the window: high, medium, low

	By     string // the person who decided
	Why    string // for operators
	Reason string // for customers; the template "reason" says it in its language

	Credential string
	Score      float64
	Seen       []schemas.Seen
	Shared     bool // several parts: each has its share
	Signals    int

	Case     string
	Decision string
	CaseURL  string // where operators look at the case
	PageURL  string // where the customer does
	Support  string // how customers reach a person

	Steps []StepView
	Known bool // the steps are the case's own, with their state
	Done  int  // how many of them are done
	Open  int

	Status    string // active, throttled, suspended, …
	PerDay    int64  // the sending limit of probation
	Told      bool   // receivers are told of it
	Receivers string // which
	Confirmed bool   // and have confirmed

	Receiver    string
	Answer      string
	Undelivered int
	Changes     string // so many changes
	Age         string
	Next        bool // there is something for a person to do
	Page        bool // at once
}

// StepView is one step of the way back.
type StepView struct {
	Number int
	Kind   string
	Object string
	Name   string // kind and object, for operators
	Text   string // what to do, in the message's language
	Done   bool
	How    string // for operators: how it was proven, or why the last attempt did not count
}

// usualSteps are those that hold where a case has none of its own.
var usualSteps = []schemas.Step{
	{Kind: schemas.StepInvestigation}, {Kind: schemas.StepAPIKey}, {Kind: schemas.StepSMTP},
	{Kind: schemas.StepPassword}, {Kind: schemas.StepMFA}, {Kind: schemas.StepConfirmation},
}

func (w *Writer) view(set *template.Template, audience string, o *Occasion) *View {
	v := &View{
		What: string(o.What), Entity: printable(o.Entity.Key()), Kind: string(o.Entity.Kind), Account: printable(o.Account), Arg: schemas.MailArg(o.Entity.Key()),
		Verdict: string(o.Verdict), Proposed: string(o.Proposed), Stopped: stopped(o.Verdict), Severity: string(o.Severity), Policy: o.Policy, Version: o.Version, Plan: printable(o.Plan),
		Time: o.Time.UTC().Format(time.RFC3339), When: when(set, o.Time), By: printable(o.By), Why: printable(o.Why), Reason: reason(o),
		Credential: printable(o.Credential), Score: o.Score, Seen: seen(o), Shared: len(o.Seen) > 1, Signals: o.Signals,
		Case: o.Case, Decision: o.Cause, CaseURL: w.caseURL(AudienceOperator, o), PageURL: w.caseURL(AudienceCustomer, o), Support: w.cfg.Support,
		Known: len(o.Steps) > 0, Status: o.Status, PerDay: o.PerDay, Told: o.Told, Receivers: strings.Join(o.Receivers, ", "), Confirmed: o.Confirmed,
		Receiver: printable(o.Receiver), Answer: printable(o.Answer), Undelivered: o.Undelivered, Changes: counted(set, o.Undelivered), Age: span(time.Duration(o.Age)), Page: o.Page,
	}
	if !o.Window.From.IsZero() {
		v.Window = o.Window.From.UTC().Format(time.RFC3339) + " – " + o.Window.To.UTC().Format(time.RFC3339)
	}
	v.Sure = o.Window.Confidence
	switch o.What {
	case Released, Probation, Closed, Progress, Resolved:
	default:
		v.Next = true
	}
	steps := o.Steps
	if len(steps) == 0 && audience == AudienceCustomer {
		steps = usualSteps
	}
	for i, s := range steps {
		sv := StepView{Number: i + 1, Kind: printable(s.Kind), Object: printable(s.Object), Done: s.Done()}
		sv.Name = strings.TrimSpace(sv.Kind + " " + sv.Object)
		sv.Text = phrase(set, "step", sv)
		if audience == AudienceOperator {
			sv.How = how(&s)
		}
		if sv.Done {
			v.Done++
		}
		v.Steps = append(v.Steps, sv)
	}
	v.Open = len(v.Steps) - v.Done
	return v
}

// span writes a duration without its zeros: 6h, 1m30s.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func how(s *schemas.Step) string {
	switch {
	case s.Proof != nil && s.Proof.By != "":
		return printable(s.Proof.What + " by " + s.Proof.By)
	case s.Proof != nil:
		return printable(strings.TrimSpace(s.Proof.What + " " + s.Proof.Cause))
	case s.Ignored != "":
		return printable("does not count: " + s.Ignored)
	}
	return ""
}

func stopped(v schemas.Verdict) string {
	switch v {
	case schemas.VerdictBlock:
		return "blocked"
	case schemas.VerdictRevoke:
		return "revoked"
	}
	return "suspended"
}

// reason is that for customers, in the operator's own words, whose links stay, but for the
// account's name, which whoever opened the account chose.
func reason(o *Occasion) string {
	if o.Account == "" {
		return o.Reason
	}
	return strings.ReplaceAll(o.Reason, o.Account, printable(o.Account))
}

// seen is what to read first. Where there is none the reason stands for it. It quotes
// what strangers wrote, of which nothing may be clicked.
func seen(o *Occasion) []schemas.Seen {
	out := slices.Clone(o.Seen)
	if len(out) == 0 {
		out = []schemas.Seen{{Text: o.Why}}
	}
	for i := range out {
		out[i].Text = printable(out[i].Text)
	}
	return out
}

func when(set *template.Template, t time.Time) string {
	t = t.UTC()
	months := strings.Fields(word(set, "months"))
	month := t.Month().String()
	if len(months) == 12 {
		month = months[t.Month()-1]
	}
	return phrase(set, "date", map[string]any{"Day": t.Day(), "Month": month, "Year": t.Year(), "Clock": t.Format("15:04")})
}

func counted(set *template.Template, n int) string {
	return phrase(set, "changes", n)
}

// DigestView is what the template of several cases can name.
type DigestView struct {
	Count   int
	Summary string // how many of what
	From    string // when the first one was
	Lines   []DigestLine
	Rest    int // that are not listed
}

// DigestLine is one case of a digest.
type DigestLine struct {
	Clock, Verdict, Entity, Policy, Case string
}

// maxLines bounds how many cases a digest lists.
const maxLines = 50

func gathered(set *template.Template, about []*Occasion) *DigestView {
	v := &DigestView{Count: len(about)}
	counts := map[What]int{}
	first := about[0].Time
	for i, o := range about {
		counts[o.What]++
		if o.Time.Before(first) {
			first = o.Time
		}
		if i >= maxLines {
			v.Rest++
			continue
		}
		v.Lines = append(v.Lines, DigestLine{o.Time.UTC().Format("15:04:05"), string(o.Verdict), printable(o.Entity.Key()), o.Policy, o.Case})
	}
	v.From = when(set, first)
	var summary []string
	whats := slices.Clone(Whats)
	slices.SortStableFunc(whats, func(a, b What) int { return counts[b] - counts[a] })
	for _, what := range whats {
		if n := counts[what]; n > 0 {
			summary = append(summary, fmt.Sprintf("%s %s", strconv.Itoa(n), phrase(set, "what", string(what))))
		}
	}
	v.Summary = strings.Join(summary, ", ")
	return v
}
