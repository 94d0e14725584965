package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

type incidentCmd struct {
	Open     incidentOpenCmd     `cmd:"" help:"Open an incident: what several cases have in common."`
	List     incidentListCmd     `cmd:"" help:"Incidents, the newest first."`
	Show     incidentShowCmd     `cmd:"" help:"An incident: who belongs to it, its scope, its campaign and what was looked for."`
	Join     incidentMemberCmd   `cmd:"" help:"Make an entity's case part of an incident."`
	Leave    incidentMemberCmd   `cmd:"" help:"Take an entity's case out of an incident."`
	Note     incidentNoteCmd     `cmd:"" help:"Write a note on an incident."`
	Assign   incidentAssignCmd   `cmd:"" help:"Make somebody answer for an incident."`
	Scope    incidentScopeCmd    `cmd:"" help:"Find out whom an employee or an address reached, commit it and keep it on the incident."`
	Campaign incidentCampaignCmd `cmd:"" help:"Ask that credentials be renewed, or show how far that is."`
	Hunt     incidentHuntCmd     `cmd:"" help:"Look for addresses, networks, user agents and keys in all that is recorded, and keep the result."`
	Close    incidentPlainCmd    `cmd:"" help:"Close an incident."`
	Reopen   incidentPlainCmd    `cmd:"" help:"Open a closed incident again."`
}

// scopeTime bounds a question that looks through all that is recorded.
const scopeTime = 5 * time.Minute

// incident asks the API about incidents, or for an act on one.
func (c *common) incident(ctx context.Context, method, path string, body, out any) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	cl.http.Timeout = scopeTime
	key := ""
	if body != nil {
		key = newKey()
	}
	_, err = cl.do(ctx, method, path, nil, body, out, "Idempotency-Key", key)
	if p := (*api.Problem)(nil); errors.As(err, &p) {
		return errors.New(clean(p.Detail))
	}
	return err
}

func incidentPath(id, what string) string {
	return "/v1/incidents/" + url.PathEscape(id) + what
}

// change asks for something and shows the incident afterwards.
func (c *common) change(ctx context.Context, path string, body any, asJSON bool, say func(x *api.IncidentView) string) error {
	var x api.IncidentView
	if err := c.incident(ctx, http.MethodPost, path, body, &x); err != nil {
		return err
	}
	if asJSON {
		return printJSON(x)
	}
	_, err := fmt.Println(clean(say(&x)))
	return err
}

type incidentOpenCmd struct {
	Cause string `arg:"" help:"employee:ID, address:ADDRESS, list (of credentials that leaked) or other."`
	Title string `arg:"" help:"What it is, in a few words."`
	Why   string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	JSON  bool   `help:"As JSON."`
}

// Run opens an incident.
func (x *incidentOpenCmd) Run(ctx context.Context, c *common) error {
	return c.change(ctx, "/v1/incidents", api.NewIncident{Cause: x.Cause, Title: x.Title, Why: x.Why}, x.JSON, func(v *api.IncidentView) string {
		return v.ID + " is open: holdfast incident join " + v.ID + " ENTITY --why …"
	})
}

type incidentListCmd struct {
	State string `enum:"open,closed,all" default:"open" help:"Only these: open, closed or all."`
	JSON  bool   `help:"As JSON."`
}

// Run lists incidents; the audit store is not needed.
func (x *incidentListCmd) Run(ctx context.Context, c *common) error {
	path := "/v1/incidents"
	if x.State != "all" {
		path += "?state=" + x.State
	}
	var all api.Page[api.IncidentLine]
	if err := c.incident(ctx, http.MethodGet, path, nil, &all); err != nil {
		return err
	}
	if x.JSON {
		return printJSON(all.Items)
	}
	if len(all.Items) == 0 {
		_, err := fmt.Println("there is no such incident")
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "INCIDENT\tSTATE\tOPENED\tCAUSE\tENTITIES\tREACHED\tOWNER\tTITLE")
	for _, i := range all.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", clean(i.ID), i.State, i.Opened.UTC().Format(time.RFC3339), clean(i.Cause.String()), i.Members, i.Reached, clean(cmp.Or(i.Owner, "-")), clean(i.Title))
	}
	return w.Flush()
}

type incidentShowCmd struct {
	ID   string `arg:"" help:"The incident."`
	JSON bool   `help:"As JSON."`
}

// Run shows an incident; the audit store is not needed.
func (x *incidentShowCmd) Run(ctx context.Context, c *common) error {
	var v api.IncidentView
	if err := c.incident(ctx, http.MethodGet, incidentPath(x.ID, ""), nil, &v); err != nil {
		return err
	}
	if x.JSON {
		return printJSON(v)
	}
	fmt.Printf("%s: %s (%s), %s since %s, owner %s\n", clean(v.ID), clean(v.Title), clean(v.Cause.String()), v.State, v.Opened.UTC().Format(time.RFC3339), clean(cmp.Or(v.Owner, "nobody")))
	fmt.Printf("last change: %s by %s\n", clean(v.Why), clean(v.By))
	for i, m := range v.Members {
		fmt.Printf("  %s: %s, case %s %s (%s, by %s)\n", clean(m.Entity.Key()), v.Standing[i].Status, clean(cmp.Or(v.Standing[i].Case, "none")), v.Standing[i].Stage, clean(m.Why), clean(m.By))
	}
	if v.Scope != nil {
		printKeptScope(v.Scope)
	}
	if k := v.Campaign; k != nil {
		what := count(len(k.Credentials), "credential", "credentials")
		if k.Everybody {
			what = "everybody's credentials"
		}
		fmt.Printf("campaign: %s, changes since %s count: holdfast incident campaign %s\n", what, k.Since.UTC().Format(time.RFC3339), clean(v.ID))
	}
	for i := range v.Hunts {
		printHunt(&v.Hunts[i])
	}
	for _, n := range v.Notes {
		fmt.Printf("%s %s: %s\n", n.At.UTC().Format(time.RFC3339), clean(n.By), clean(n.Text))
	}
	return nil
}

func printKeptScope(s *schemas.Scope) {
	fmt.Printf("scope of %s, %s to %s: %d of %d customers (%.1f %%), %d records; %d reads of many, %d of them name no customer\n",
		clean(s.Entity.Key()), s.From.UTC().Format(time.RFC3339), s.To.UTC().Format(time.RFC3339), s.Customers, s.All, 100*s.Share, s.Records, s.Bulk, s.Blind)
	if s.Run != "" {
		fmt.Printf("committed as %s: holdfast certificate --run %s --account ID\n", clean(s.Run), clean(s.Run))
	} else {
		fmt.Printf("not committed to the log of proof: %s\n", clean(s.NoRun))
	}
	for _, g := range s.Gaps {
		fmt.Printf("gap: %s\n", clean(g))
	}
	for _, r := range s.Reached {
		how := ""
		if r.Secret {
			how = ", secrets seen"
		}
		if !r.Used.IsZero() {
			how += ", used from " + r.From + " at " + r.Used.UTC().Format(time.RFC3339)
		}
		fmt.Printf("  %s: %s%s\n", clean(r.Account), count(r.Records, "record", "records"), clean(how))
	}
	if s.Cut {
		fmt.Println("  … and more: holdfast scope names all")
	}
}

func printHunt(h *schemas.Hunt) {
	fmt.Printf("hunt of %s by %s: %s\n", h.Ran.UTC().Format(time.RFC3339), clean(h.By), clean(h.Why))
	for _, x := range h.Hits {
		if x.Events == 0 {
			fmt.Printf("  %s %s: never seen\n", x.Kind, clean(x.Indicator))
			continue
		}
		fmt.Printf("  %s %s: %s at %s, %s to %s\n", x.Kind, clean(x.Indicator), count(x.Events, "event", "events"), count(x.Accounts, "account", "accounts"), x.First.UTC().Format(time.RFC3339), x.Last.UTC().Format(time.RFC3339))
	}
	if len(h.Accounts) > 0 {
		fmt.Printf("  accounts: %s\n", clean(strings.Join(h.Accounts, " ")))
	}
}

// onIncident is what every act on an incident has.
type onIncident struct {
	ID   string `arg:"" help:"The incident."`
	Why  string `placeholder:"TEXT" help:"The reason, kept for auditors."`
	JSON bool   `help:"As JSON."`
}

func (x *onIncident) act(ctx context.Context, c *common, in api.IncidentActIn) error {
	in.Why = x.Why
	return c.change(ctx, incidentPath(x.ID, "/acts"), in, x.JSON, func(v *api.IncidentView) string { return v.ID + ": " + v.Why })
}

type incidentMemberCmd struct {
	onIncident
	Entity string `arg:"" help:"kind:id, the id of an account, or a case's id."`
	name   string
}

// Run lets a case join or leave.
func (x *incidentMemberCmd) Run(ctx context.Context, c *common) error {
	return x.act(ctx, c, api.IncidentActIn{Act: x.name, Item: x.Entity})
}

type incidentPlainCmd struct {
	onIncident
	name string
}

// Run closes or opens again.
func (x *incidentPlainCmd) Run(ctx context.Context, c *common) error {
	return x.act(ctx, c, api.IncidentActIn{Act: x.name})
}

// AfterApply gives commands of one kind their acts.
func (x *incidentCmd) AfterApply() error {
	x.Join.name, x.Leave.name, x.Close.name, x.Reopen.name = "join", "leave", "close", "reopen"
	return nil
}

type incidentNoteCmd struct {
	onIncident
	Text string `arg:"" help:"The note."`
}

// Run writes a note.
func (x *incidentNoteCmd) Run(ctx context.Context, c *common) error {
	return x.act(ctx, c, api.IncidentActIn{Act: "note", Text: x.Text})
}

type incidentAssignCmd struct {
	onIncident
	Person string `arg:"" optional:"" help:"The person (default: nobody)."`
}

// Run assigns.
func (x *incidentAssignCmd) Run(ctx context.Context, c *common) error {
	return x.act(ctx, c, api.IncidentActIn{Act: "assign", Item: x.Person})
}

type incidentScopeCmd struct {
	onIncident
	Entity string `placeholder:"ENTITY" help:"employee:ID or an address, where the incident's cause names none."`
	stretch
}

// Run finds the scope and keeps it.
func (x *incidentScopeCmd) Run(ctx context.Context, c *common) error {
	from, to, err := x.times()
	if err != nil {
		return err
	}
	var v api.IncidentView
	if err := c.incident(ctx, http.MethodPost, incidentPath(x.ID, "/scope"), api.ScopeIn{Entity: x.Entity, From: from, To: to, Why: x.Why}, &v); err != nil {
		return err
	}
	if x.JSON {
		return printJSON(v.Scope)
	}
	printKeptScope(v.Scope)
	return nil
}

type incidentCampaignCmd struct {
	onIncident
	File      string `name:"list" type:"existingfile" placeholder:"FILE" help:"Ask to renew the credentials in this file, one a line."`
	Everybody bool   `help:"Ask to renew everybody's credentials."`
	Since     string `placeholder:"WHEN" help:"Changes from this time on count: 30d, 2026-01-02 or 2026-01-02T15:04:05Z (default: now)."`
	Limit     int    `default:"500" help:"How many credentials to show at most."`
}

// Run begins a campaign, or shows how far it is.
func (x *incidentCampaignCmd) Run(ctx context.Context, c *common) error {
	if x.File != "" || x.Everybody {
		in := api.IncidentActIn{Act: "campaign"}
		if x.Everybody {
			in.Item = "everybody"
		} else {
			b, err := os.ReadFile(x.File)
			if err != nil {
				return err
			}
			in.Text = string(b)
		}
		var err error
		if in.Since, err = when("--since", x.Since); err != nil {
			return err
		}
		return x.act(ctx, c, in)
	}
	var p schemas.Progress
	if err := c.incident(ctx, http.MethodGet, incidentPath(x.ID, fmt.Sprintf("/campaign?limit=%d", x.Limit)), nil, &p); err != nil {
		return err
	}
	if x.JSON {
		return printJSON(p)
	}
	fmt.Printf("%d of %d credentials renewed; of the %d open ones somebody was told of %d; %d were never seen\n", p.Renewed, p.All, p.All-p.Renewed, p.Notified, p.Unknown)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CREDENTIAL\tACCOUNT\tSTATE\tSINCE\tLAST USE\tTOLD")
	for _, r := range p.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", clean(r.Credential), clean(cmp.Or(r.Account, "-")), cmp.Or(r.Change, "open"), orDash(r.At), orDash(r.LastUse), orDash(r.Notified))
	}
	return w.Flush()
}

func orDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

type incidentHuntCmd struct {
	onIncident
	Indicators []string `arg:"" optional:"" help:"Addresses, networks, ua:TEXT for part of a user agent, key:ID."`
	File       string   `name:"list" type:"existingfile" placeholder:"FILE" help:"More of them, one a line."`
	From       string   `placeholder:"WHEN" help:"From this time on (default: all that is recorded)."`
	To         string   `placeholder:"WHEN" help:"Before this time (default: now)."`
}

// Run looks for indicators.
func (x *incidentHuntCmd) Run(ctx context.Context, c *common) error {
	in := api.HuntIn{Indicators: x.Indicators, Why: x.Why}
	if x.File != "" {
		b, err := os.ReadFile(x.File)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				in.Indicators = append(in.Indicators, line)
			}
		}
	}
	var err, err2 error
	in.From, err = when("--from", x.From)
	in.To, err2 = when("--to", x.To)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	var v api.IncidentView
	if err := c.incident(ctx, http.MethodPost, incidentPath(x.ID, "/hunts"), in, &v); err != nil {
		return err
	}
	h := &v.Hunts[len(v.Hunts)-1]
	if x.JSON {
		return printJSON(h)
	}
	printHunt(h)
	return nil
}
