package main

import (
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
)

type peopleCmd struct {
	List      peopleListCmd  `cmd:"" help:"Who may do what."`
	Add       peopleAddCmd   `cmd:"" help:"Add somebody; prints the one-time link by which a password is set."`
	Role      peopleRoleCmd  `cmd:"" help:"Change somebody's role."`
	Disable   peoplePlainCmd `cmd:"" help:"Let somebody sign in no more; their sessions end."`
	Enable    peoplePlainCmd `cmd:"" help:"Let somebody sign in again."`
	ResetLink peopleLinkCmd  `cmd:"" help:"Make a new one-time link for somebody whose password or second factor is lost."`
	Token     peopleTokenCmd `cmd:"" help:"Make a token; it is printed once."`
	Tokens    tokensCmd      `cmd:"" help:"Tokens, without what proves them."`
	DropToken dropTokenCmd   `cmd:"" help:"Make a token worthless."`
	Me        meCmd          `cmd:"" help:"Who you are to the API, and what you may do."`
}

type peopleListCmd struct {
	JSON bool `help:"As JSON."`
}

// Run lists people.
func (l *peopleListCmd) Run(ctx context.Context, c *common) error {
	all, err := pages[api.PersonView](ctx, c, "/v1/people", nil, 0)
	if err != nil {
		return err
	}
	if l.JSON {
		return printJSON(all)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tSIGNS IN BY\tSESSIONS\tTOKENS\tSEEN")
	for _, p := range all {
		var by []string
		for word, is := range map[string]bool{"password": p.Password, "second factor": p.TOTP, "provider": p.OIDC} {
			if is {
				by = append(by, word)
			}
		}
		if p.Disabled {
			by = []string{"disabled"}
		}
		seen := "never"
		if !p.Seen.IsZero() {
			seen = p.Seen.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", clean(p.Name), p.Role, strings.Join(by, ", "), p.Sessions, p.Tokens, seen)
	}
	return w.Flush()
}

type peopleAddCmd struct {
	Name string `arg:"" help:"A name: a to z, 0 to 9 and . _ @ -"`
	Role string `required:"" enum:"viewer,analyst,lead,auditor,admin" help:"viewer, analyst, lead, auditor or admin."`
	Mail string `placeholder:"ADDRESS" help:"Mail address."`
	Why  string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	JSON bool   `help:"As JSON."`
}

// Run adds somebody.
func (a *peopleAddCmd) Run(ctx context.Context, c *common) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	var out api.OneTime
	if _, err := cl.do(ctx, http.MethodPost, "/v1/people", nil, api.NewPerson{Name: a.Name, Role: api.Role(a.Role), Mail: a.Mail, Why: a.Why}, &out); err != nil {
		return err
	}
	return cl.printLink(out, a.JSON)
}

func (c *client) printLink(out api.OneTime, asJSON bool) error {
	if asJSON {
		return printJSON(out)
	}
	_, err := fmt.Printf("%s sets a password here, once, until %s:\n  %s%s\n", clean(out.Person), out.Until.UTC().Format(time.RFC3339), c.at, clean(out.Path))
	return err
}

type peopleLinkCmd struct {
	Name string `arg:"" help:"The person."`
	Why  string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	JSON bool   `help:"As JSON."`
}

// Run makes the link.
func (l *peopleLinkCmd) Run(ctx context.Context, c *common) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	var out api.OneTime
	if _, err := cl.do(ctx, http.MethodPost, "/v1/people/"+url.PathEscape(l.Name)+"/link", nil, map[string]string{"why": l.Why}, &out); err != nil {
		return err
	}
	return cl.printLink(out, l.JSON)
}

type peopleRoleCmd struct {
	Name string `arg:"" help:"The person."`
	Role string `arg:"" enum:"viewer,analyst,lead,auditor,admin" help:"viewer, analyst, lead, auditor or admin."`
	Why  string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	JSON bool   `help:"As JSON."`
}

// Run changes the role.
func (r *peopleRoleCmd) Run(ctx context.Context, c *common) error {
	role := api.Role(r.Role)
	return changePerson(ctx, c, r.Name, api.PersonChange{Role: &role, Why: r.Why}, r.JSON)
}

func changePerson(ctx context.Context, c *common, name string, in api.PersonChange, asJSON bool) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	var v api.PersonView
	if _, err := cl.do(ctx, http.MethodPatch, "/v1/people/"+url.PathEscape(name), nil, in, &v); err != nil {
		return err
	}
	if asJSON {
		return printJSON(v)
	}
	word := "may sign in"
	if v.Disabled {
		word = "is disabled"
	}
	_, err = fmt.Printf("%s: %s, %s\n", clean(v.Name), v.Role, word)
	return err
}

type peoplePlainCmd struct {
	Name string `arg:"" help:"The person."`
	Why  string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	JSON bool   `help:"As JSON."`
}

// Run disables or enables, as the command is called.
func (p *peoplePlainCmd) Run(ctx context.Context, k *kong.Context, c *common) error {
	disabled := k.Selected().Name == "disable"
	return changePerson(ctx, c, p.Name, api.PersonChange{Disabled: &disabled, Why: p.Why}, p.JSON)
}

type peopleTokenCmd struct {
	Person string   `placeholder:"NAME" help:"For whom (default: for yourself)."`
	Name   string   `arg:"" help:"What it is for."`
	Only   []string `placeholder:"RIGHT" help:"Fewer rights than the person's, such as read, act.note."`
	Days   int      `default:"90" help:"How long it works."`
	Why    string   `placeholder:"TEXT" help:"The reason, kept for auditors."`
	JSON   bool     `help:"As JSON."`
}

// Run makes a token.
func (t *peopleTokenCmd) Run(ctx context.Context, c *common) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	in := api.NewToken{Person: t.Person, Name: t.Name, Days: t.Days, Why: t.Why}
	for _, r := range t.Only {
		in.Only = append(in.Only, api.Right(r))
	}
	var v api.TokenView
	if _, err := cl.do(ctx, http.MethodPost, "/v1/tokens", nil, in, &v); err != nil {
		return err
	}
	if t.JSON {
		return printJSON(v)
	}
	_, err = fmt.Println(v.Secret)
	return err
}

type tokensCmd struct {
	All  bool `help:"Those of everybody."`
	JSON bool `help:"As JSON."`
}

// Run lists tokens.
func (t *tokensCmd) Run(ctx context.Context, c *common) error {
	query := url.Values{}
	if t.All {
		query.Set("of", "everybody")
	}
	all, err := pages[api.TokenView](ctx, c, "/v1/tokens", query, 0)
	if err != nil {
		return err
	}
	if t.JSON {
		return printJSON(all)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOKEN\tPERSON\tNAME\tUNTIL\tRIGHTS")
	for _, x := range all {
		rights := "all of the person's"
		if x.Only != nil {
			var r []string
			for _, y := range x.Only {
				r = append(r, string(y))
			}
			rights = strings.Join(r, ", ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", x.ID, clean(x.Person), clean(x.Name), x.Until.UTC().Format(time.RFC3339), clean(rights))
	}
	return w.Flush()
}

type dropTokenCmd struct {
	ID string `arg:"" help:"The token's id, as tokens prints it."`
}

// Run drops it.
func (d *dropTokenCmd) Run(ctx context.Context, c *common) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	if _, err := cl.do(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(d.ID), nil, nil, nil); err != nil {
		return err
	}
	_, err = fmt.Printf("%s works no more\n", clean(d.ID))
	return err
}

type meCmd struct {
	JSON bool `help:"As JSON."`
}

// Run tells who asks.
func (m *meCmd) Run(ctx context.Context, c *common) error {
	x, err := ask[api.Me](ctx, c, "/v1/me", nil)
	if err != nil {
		return err
	}
	if m.JSON {
		return printJSON(x)
	}
	var r []string
	for _, y := range x.Rights {
		r = append(r, string(y))
	}
	_, err = fmt.Printf("%s, %s (by %s)\nmay: %s\n", clean(x.Name), x.Role, clean(x.Via), strings.Join(r, ", "))
	return err
}

type auditCmd struct {
	Actor  string `placeholder:"NAME" help:"Only this person's acts."`
	Act    string `placeholder:"ACT" help:"Only this act."`
	Entity string `placeholder:"ENTITY" help:"Only acts on this entity."`
	Since  string `placeholder:"WHEN" help:"How far back (24h, 30d), or a time; 90 days where nothing is said."`
	Limit  int    `default:"200" help:"The newest so many; 0 is all."`
	JSON   bool   `help:"One JSON object a line."`
}

// Run tells what people did, the newest first.
func (a *auditCmd) Run(ctx context.Context, c *common) error {
	query := url.Values{"limit": {"1000"}}
	since, err := pastTime("--since", a.Since, time.Now())
	if err != nil {
		return err
	}
	if !since.IsZero() {
		query.Set("since", since.UTC().Format(time.RFC3339))
	}
	for name, v := range map[string]string{"actor": a.Actor, "act": a.Act, "entity": a.Entity} {
		if v != "" {
			query.Set(name, v)
		}
	}
	all, err := pages[api.Entry](ctx, c, "/v1/operators", query, a.Limit)
	if err != nil {
		return err
	}
	for _, e := range all {
		if a.JSON {
			if err := jsonLine(os.Stdout, e); err != nil {
				return err
			}
			continue
		}
		on := ""
		if e.Entity != "" && e.Entity != ":" {
			on = "  " + e.Entity
		}
		fmt.Println(clean(e.At.UTC().Format(time.RFC3339) + on + "  " + e.Text))
	}
	return nil
}
