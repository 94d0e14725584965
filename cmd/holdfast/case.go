package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

type caseCmd struct {
	List    caseListCmd    `cmd:"" help:"Cases by stage and due time."`
	Show    caseShowCmd    `cmd:"" help:"A case: what was found, done, and is still to do."`
	Next    caseNextCmd    `cmd:"" help:"Take the next case that is nobody's."`
	Assign  caseAssignCmd  `cmd:"" help:"Make somebody answer for a case."`
	Note    caseNoteCmd    `cmd:"" help:"Write a note on a case."`
	Ticket  caseItemCmd    `cmd:"" help:"Link a ticket to a case."`
	Watch   casePlainCmd   `cmd:"" help:"Be told of a case."`
	Unwatch casePlainCmd   `cmd:"" help:"Be told of a case no more."`
	Tick    caseTickCmd    `cmd:"" help:"Answer or confirm a step of the way back."`
	Waive   caseStepCmd    `cmd:"" help:"Let a step of the way back go, by name and with a reason."`
	Keep    caseStepCmd    `cmd:"" help:"Let what was made inside the window stay."`
	Ours    caseStepCmd    `cmd:"" help:"An address of the case is the customer's own."`
	Theirs  caseStepCmd    `cmd:"" help:"An address of the case is the intruder's."`
	Verdict caseVerdictCmd `cmd:"" help:"Say what a case was."`
	Merge   caseOtherCmd   `cmd:"" help:"Make a case part of another one."`
	Link    caseOtherCmd   `cmd:"" help:"Name another case beside a case."`
	Join    caseStepCmd    `cmd:"" help:"Make a case one of an incident's."`
	Split   casePlainCmd   `cmd:"" help:"Make a merged case one of its own again."`
	Reopen  casePlainCmd   `cmd:"" help:"Open a closed case again."`
}

type caseListCmd struct {
	Stage   []string `placeholder:"STAGE" help:"Only these stages: open, contained, recovering, probation, closed, or all."`
	Verdict []string `placeholder:"VERDICT" help:"Only these verdicts: undetermined, compromised, expected, false_alarm."`
	Owner   string   `placeholder:"NAME" help:"Whose: a person, me, or none."`
	Policy  string   `placeholder:"NAME" help:"Only those in which this policy decided."`
	Limit   int      `default:"200" help:"How many at most; 0 is all."`
	JSON    bool     `help:"As JSON."`
}

// Run lists cases; the audit store is not needed.
func (l *caseListCmd) Run(ctx context.Context, c *common) error {
	query := url.Values{"limit": {"500"}}
	for name, v := range map[string]string{"stage": strings.Join(l.Stage, ","), "verdict": strings.Join(l.Verdict, ","), "owner": l.Owner, "policy": l.Policy} {
		if v != "" {
			query.Set(name, v)
		}
	}
	all, err := pages[api.CaseLine](ctx, c, "/v1/cases", query, l.Limit)
	if err != nil {
		return err
	}
	if l.JSON {
		return printJSON(all)
	}
	if len(all) == 0 {
		_, err = fmt.Println("there is no such case")
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CASE\tENTITY\tSTAGE\tDUE\tOWNER\tVERDICT\tSTEPS LEFT\tWHY")
	for _, x := range all {
		due := "-"
		if !x.Due.IsZero() {
			due = x.Due.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d of %d\t%s\n", clean(x.ID), clean(x.Entity.Key()), x.Stage, due, clean(cmp.Or(x.Owner, "-")), x.Verdict, x.OpenSteps, x.Steps, clean(firstSentences(x.Text, 80)))
	}
	return w.Flush()
}

// caseOf finds a case by its id, or by its entity.
func (c *common) caseOf(ctx context.Context, cl *client, name string) (v api.CaseView, tag string, err error) {
	id := name
	if !strings.HasPrefix(name, "case_") {
		e, err := c.entity(name)
		if err != nil {
			return v, "", err
		}
		var x api.EntityView
		if _, err := cl.do(ctx, http.MethodGet, entityPath(e), nil, nil, &x); err != nil {
			return v, "", err
		}
		if x.Case == nil {
			return v, "", fmt.Errorf("%s has no case", clean(e.Key()))
		}
		id = x.Case.ID
	}
	h, err := cl.do(ctx, http.MethodGet, "/v1/cases/"+url.PathEscape(id), nil, nil, &v)
	if err != nil {
		return v, "", err
	}
	return v, h.Get("ETag"), nil
}

type caseShowCmd struct {
	Case string `arg:"" help:"The case's id, or its entity."`
	JSON bool   `help:"As JSON."`
}

// Run shows a case.
func (s *caseShowCmd) Run(ctx context.Context, c *common) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	v, _, err := c.caseOf(ctx, cl, s.Case)
	if err != nil {
		return err
	}
	if s.JSON {
		return printJSON(v)
	}
	printCase(&v)
	return nil
}

func printCase(v *api.CaseView) {
	line := func(name, format string, args ...any) {
		fmt.Printf("  %-10s %s\n", name, clean(fmt.Sprintf(format, args...)))
	}
	fmt.Printf("%s  %s\n", clean(v.ID), clean(v.Text))
	line("entity", "%s, %s", v.Entity.Key(), phrase(v.Status.Status))
	due := ""
	if !v.Due.IsZero() {
		due = ", due " + v.Due.UTC().Format(time.RFC3339)
	}
	line("stage", "%s, version %d%s", v.Stage, v.Version, due)
	verdict := cmp.Or(string(v.Verdict), "undetermined")
	if v.Reason != "" {
		verdict += ": " + v.Reason
	}
	line("verdict", "%s", verdict)
	line("owner", "%s", cmp.Or(v.Owner, "nobody"))
	if !v.Window.From.IsZero() {
		line("window", "%s to %s, confidence %s", v.Window.From.UTC().Format(time.RFC3339), v.Window.To.UTC().Format(time.RFC3339), v.Window.Confidence)
	}
	for _, x := range v.Seen {
		line("found", "%s (%s, %.0f %%)", x.Text, x.Detector, 100*x.Share)
	}
	for _, x := range v.Entry {
		ours := ""
		if x.Ours {
			ours = ", the customer's own"
		}
		line("came by", "%s %s (%s%s)", x.Kind, x.Value, x.Basis, ours)
	}
	for _, x := range v.Made {
		line("made", "%s %s %s", x.Kind, x.ID, x.Change)
	}
	for _, x := range v.Holds {
		line("held", "%s by %s since %s: %s", words(string(x.Verdict), x.Object), x.Owner, x.Since.UTC().Format(time.RFC3339), x.Why)
	}
	for i := range v.Steps {
		x := &v.Steps[i]
		state := "open"
		if x.Proof != nil {
			state = x.Proof.What
			if x.Proof.By != "" {
				state += " by " + x.Proof.By
			}
		}
		line("step", "%s [%s]", x.ID, state)
	}
	if v.Ramp != nil {
		line("ramp", "day %d: %d %%, %d recipients a day", v.Ramp.Day, v.Ramp.Share, v.Ramp.PerDay)
	}
	if a := v.Awaits; a != nil {
		line("waits", "%s by %s (%s) waits for a second person until %s", a.Request.Act, a.Request.Actor, a.Request.Why, a.Until.UTC().Format(time.RFC3339))
	}
	for _, n := range v.Notes {
		line("note", "%s, %s: %s", n.By, n.At.UTC().Format(time.RFC3339), n.Text)
	}
	for _, t := range v.Tickets {
		line("ticket", "%s", t)
	}
	for _, x := range v.Links {
		line("link", "%s: %s", x.Case, x.Why)
	}
	var acts []string
	for _, a := range v.Acts {
		acts = append(acts, a.Act)
	}
	if len(acts) > 0 {
		line("you may", "%s", strings.Join(acts, ", "))
	}
}

// words are those that are not empty.
func words(all ...string) string { return strings.Join(strings.Fields(strings.Join(all, " ")), " ") }

type caseNextCmd struct {
	JSON bool `help:"As JSON."`
}

// Run takes the next case.
func (n *caseNextCmd) Run(ctx context.Context, c *common) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	var v api.CaseView
	if _, err := cl.do(ctx, http.MethodPost, "/v1/cases/next", nil, nil, &v); err != nil {
		return err
	}
	if n.JSON {
		return printJSON(v)
	}
	printCase(&v)
	return nil
}

// caseFlags are those of every act on a case.
type caseFlags struct {
	Case   string `arg:"" help:"The case's id, or its entity."`
	Seen   int    `placeholder:"VERSION" help:"Only if the case is still at this version, as show printed it."`
	DryRun bool   `help:"Only say what it would do."`
	JSON   bool   `help:"As JSON."`
}

// act asks for an act on the case as it is now, or as it was seen.
func (f *caseFlags) act(ctx context.Context, c *common, in api.ActIn) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	v, tag, err := c.caseOf(ctx, cl, f.Case)
	if err != nil {
		return err
	}
	if f.Seen > 0 {
		tag = fmt.Sprintf(`"%s.%d"`, v.ID, f.Seen)
	}
	in.DryRun = f.DryRun
	var out api.ActOut
	_, err = cl.do(ctx, http.MethodPost, "/v1/cases/"+url.PathEscape(v.ID)+"/acts", nil, in, &out, "Idempotency-Key", newKey(), "If-Match", tag)
	if err != nil {
		return refusal(in.Act, v.ID, err)
	}
	return printAct(out, f.JSON)
}

type casePlainCmd struct {
	caseFlags
	Why string `placeholder:"TEXT" help:"The reason, kept for auditors; split and reopen need it."`
}

// Run asks for what the command's own name says.
func (p *casePlainCmd) Run(ctx context.Context, k *kong.Context, c *common) error {
	return p.act(ctx, c, api.ActIn{Act: k.Selected().Name, Why: p.Why})
}

type caseAssignCmd struct {
	caseFlags
	To  string `arg:"" optional:"" help:"Who answers for it; nobody where none is named."`
	Why string `placeholder:"TEXT" help:"The reason."`
}

// Run assigns.
func (a *caseAssignCmd) Run(ctx context.Context, c *common) error {
	return a.act(ctx, c, api.ActIn{Act: "assign", Item: a.To, Why: a.Why})
}

type caseNoteCmd struct {
	caseFlags
	Text string `arg:"" help:"What is to be kept."`
}

// Run writes a note.
func (n *caseNoteCmd) Run(ctx context.Context, c *common) error {
	return n.act(ctx, c, api.ActIn{Act: "note", Text: n.Text})
}

type caseItemCmd struct {
	caseFlags
	Item string `arg:"" help:"The ticket."`
}

// Run asks for what the command's own name says.
func (i *caseItemCmd) Run(ctx context.Context, k *kong.Context, c *common) error {
	return i.act(ctx, c, api.ActIn{Act: k.Selected().Name, Item: i.Item})
}

type caseTickCmd struct {
	caseFlags
	Step string `arg:"" help:"The step, as show prints it."`
	Text string `placeholder:"TEXT" help:"The answer, for the investigation."`
	Why  string `placeholder:"TEXT" help:"The reason, kept for auditors."`
}

// Run answers a step.
func (t *caseTickCmd) Run(ctx context.Context, c *common) error {
	return t.act(ctx, c, api.ActIn{Act: "tick", Item: t.Step, Text: t.Text, Why: t.Why})
}

type caseStepCmd struct {
	caseFlags
	Item string `arg:"" help:"The step, the address or the incident, as show prints it."`
	Why  string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
}

// Run asks for what the command's own name says.
func (s *caseStepCmd) Run(ctx context.Context, k *kong.Context, c *common) error {
	return s.act(ctx, c, api.ActIn{Act: k.Selected().Name, Item: s.Item, Why: s.Why})
}

type caseVerdictCmd struct {
	caseFlags
	Verdict string `arg:"" enum:"compromised,expected,false_alarm,undetermined" help:"compromised, expected, false_alarm or undetermined."`
	Reason  string `placeholder:"REASON" help:"One of the list of the verdict, such as key_leaked, new_server, wrong_baseline."`
	Why     string `required:"" placeholder:"TEXT" help:"In words, kept for auditors."`
}

// Run judges.
func (v *caseVerdictCmd) Run(ctx context.Context, c *common) error {
	return v.act(ctx, c, api.ActIn{Act: "verdict", Verdict: schemas.CaseVerdict(v.Verdict), Reason: v.Reason, Why: v.Why})
}

type caseOtherCmd struct {
	caseFlags
	Other string `arg:"" help:"The other case: its id, or its entity."`
	Why   string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
}

// Run asks for what the command's own name says.
func (o *caseOtherCmd) Run(ctx context.Context, k *kong.Context, c *common) error {
	other := o.Other
	if !strings.HasPrefix(other, "case_") {
		e, err := c.entity(other)
		if err != nil {
			return err
		}
		other = e.Key()
	}
	return o.act(ctx, c, api.ActIn{Act: k.Selected().Name, Other: other, Why: o.Why})
}

type approveCmd struct {
	What string `arg:"" help:"A bulk act, or the case or entity whose act waits."`
	whyFlags
}

// Run answers as the second person: approve or decline, as the command is called.
func (a *approveCmd) Run(ctx context.Context, k *kong.Context, c *common) error {
	act := k.Selected().Name
	if !strings.HasPrefix(a.What, "bulk_") {
		f := caseFlags{Case: a.What, DryRun: a.DryRun, JSON: a.JSON}
		return f.act(ctx, c, api.ActIn{Act: act, Why: a.Why})
	}
	cl, err := c.api()
	if err != nil {
		return err
	}
	var v api.BulkView
	at := "/v1/bulk/" + url.PathEscape(a.What)
	if a.DryRun {
		_, err = cl.do(ctx, http.MethodGet, at, nil, nil, &v)
	} else {
		_, err = cl.do(ctx, http.MethodPost, at+map[string]string{"approve": "/approve", "decline": "/reject"}[act], nil, map[string]string{"why": a.Why}, &v)
	}
	if err != nil {
		return refusal(act, a.What, err)
	}
	return printBulk(v, a.JSON)
}

type bulkCmd struct {
	Ask  bulkAskCmd  `cmd:"" default:"withargs" help:"Ask for one act on many entities; --dry-run shows whom it reaches."`
	List bulkListCmd `cmd:"" help:"Acts on many entities, the newest first."`
	Show bulkShowCmd `cmd:"" help:"One act on many entities, with whom it reaches."`
}

type bulkAskCmd struct {
	Act      string   `arg:"" help:"The act, such as suspend, release, dismiss."`
	Entities []string `arg:"" help:"kind:id of each, or the id of an account or an address alone."`
	Until    string   `name:"for" placeholder:"TIME" help:"For how long, where the act needs it."`
	Item     string   `placeholder:"ITEM" help:"Where the act needs it."`
	Text     string   `placeholder:"TEXT" help:"Where the act needs it."`
	whyFlags
}

// Run asks for it.
func (b *bulkAskCmd) Run(ctx context.Context, c *common) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	until, err := untilAfter(b.Until)
	if err != nil {
		return err
	}
	in := api.BulkIn{ActIn: api.ActIn{Act: b.Act, Why: b.Why, Item: b.Item, Text: b.Text, Until: until, DryRun: b.DryRun}}
	for _, x := range b.Entities {
		e, err := c.entity(x)
		if err != nil {
			return err
		}
		in.Entities = append(in.Entities, e.Key())
	}
	var v api.BulkView
	if _, err := cl.do(ctx, http.MethodPost, "/v1/bulk", nil, in, &v, "Idempotency-Key", newKey()); err != nil {
		return refusal(b.Act, "them", err)
	}
	return printBulk(v, b.JSON)
}

func printBulk(v api.BulkView, asJSON bool) error {
	if asJSON {
		return printJSON(v)
	}
	fmt.Printf("%s: %s, asked for by %s: %s\n", clean(v.ID), v.State, clean(v.Who), clean(v.In.Why))
	fmt.Printf("  it %s\n", clean(v.Does))
	fmt.Printf("  %s, %d protected, %d that it does not reach; together %d recipients a day\n", count(v.Fine, "entity", "entities"), v.Protected, v.Refused, v.Usual)
	if v.State == api.BulkWaiting {
		fmt.Printf("  a second person has to approve it: holdfast approve %s --why …\n", clean(v.ID))
	}
	for _, r := range v.Reached {
		state := "will be reached"
		switch {
		case r.Refused != "":
			state = "not: " + r.Refused
		case r.Awaits:
			state = "waits for a second person: it is protected"
		case r.Done:
			state = "done: " + r.After
		}
		fmt.Printf("  %s, %s before: %s\n", clean(r.Entity.Key()), phrase(r.Before), clean(state))
	}
	return nil
}

type bulkListCmd struct {
	JSON bool `help:"As JSON."`
}

// Run lists them.
func (l *bulkListCmd) Run(ctx context.Context, c *common) error {
	all, err := pages[api.BulkView](ctx, c, "/v1/bulk", nil, 0)
	if err != nil {
		return err
	}
	if l.JSON {
		return printJSON(all)
	}
	if len(all) == 0 {
		fmt.Println("there is none")
	}
	for _, v := range all {
		if err := printBulk(v, false); err != nil {
			return err
		}
	}
	return nil
}

type bulkShowCmd struct {
	ID   string `arg:"" help:"The bulk act."`
	JSON bool   `help:"As JSON."`
}

// Run shows one.
func (s *bulkShowCmd) Run(ctx context.Context, c *common) error {
	v, err := ask[api.BulkView](ctx, c, "/v1/bulk/"+url.PathEscape(s.ID), nil)
	if err != nil {
		return err
	}
	return printBulk(v, s.JSON)
}
