package console

import (
	"net/http"
	"strings"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

// caseAct carries an act on a case out and comes back to it.
func (c *Console) caseAct(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	id := r.PathValue("id")
	in := c.actIn(r)
	in.Version = versionIn(r)
	if in.Act == "hand" { // assign with a note
		return c.hand(w, r, p, id, in)
	}
	if in.Act == "join" {
		return c.joinIncident(w, r, p, id, in)
	}
	if in.Act == "merge" || in.Act == "link" {
		in.Item = in.Other
	}
	out, err := c.service.ActOnCase(r.Context(), p, id, in)
	return c.acted(w, r, caseURL(id), in, out, err)
}

// hand gives a case to somebody, with a note.
func (c *Console) hand(w http.ResponseWriter, r *http.Request, p api.Principal, id string, in api.ActIn) error {
	give, note := in, in
	give.Act, give.Text, give.Why = "assign", "", in.Text
	note.Act, note.Item, note.Version = "note", "", nil
	if note.Key != "" {
		note.Key += "-note"
	}
	out, err := c.service.ActOnCase(r.Context(), p, id, give)
	already := err != nil && strings.Contains(api.AsProblem(err).Detail, "assigned so already")
	if err == nil && note.Text != "" || already && note.Text != "" {
		out2, err2 := c.service.ActOnCase(r.Context(), p, id, note)
		if already {
			out, err, give = out2, err2, note
		} else if err2 != nil {
			err = err2
		}
	}
	return c.acted(w, r, caseURL(id), give, out, err)
}

// entityAct carries an act on an entity out and comes back to its page.
func (c *Console) entityAct(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	e, err := api.EntityOf(r.PathValue("entity"))
	if err != nil {
		return err
	}
	in := c.actIn(r)
	in.Version = versionIn(r)
	out, err := c.service.Act(r.Context(), p, e, in)
	return c.acted(w, r, local(r.PostFormValue("back"), entityURL(e)), in, out, err)
}

// versionIn is the case's version that the form was made for.
func versionIn(r *http.Request) *int {
	text := r.PostFormValue("version")
	if text == "" {
		return nil
	}
	n := 0
	for _, d := range text {
		if d < '0' || d > '9' || n > 1<<30 {
			n = -1 // no case has it: the act is refused
			break
		}
		n = n*10 + int(d-'0')
	}
	return &n
}

// acted says what came of an act, with the act that undoes it.
func (c *Console) acted(w http.ResponseWriter, r *http.Request, back string, in api.ActIn, out api.ActOut, err error) error {
	if err != nil {
		return c.after(w, r, back, "", err)
	}
	f := flash{Text: c.text.say("acted.done", c.text.word("done", out.Act))}
	switch {
	case out.Awaits:
		f.Text = c.text.say("acted.awaits", c.text.word("act", out.Act))
	case out.Before != out.After && out.After != "":
		f.Text = c.text.say("acted.changed", c.text.word("done", out.Act), out.Entity.Key(), c.text.word("status", out.Before), c.text.word("status", out.After))
	}
	if !out.Awaits {
		f.Undo = c.undoOf(in, out, back)
	}
	c.tell(w, f)
	return to(w, r, back)
}

// undoOf is the act that undoes another, or nil.
func (c *Console) undoOf(in api.ActIn, out api.ActOut, back string) *undo {
	u := api.ActIn{Act: out.Inverse, Item: in.Item, Why: c.text.say("acted.undo.why", c.text.word("act", out.Act), in.Why)}
	switch out.Act {
	case "release": // what held it before
		u.Act, u.Item = map[string]string{"suspended": "suspend", "throttled": "throttle", "blocked": "block"}[out.Before], ""
		u.Force = true
	case "suspend", "throttle", "block", "revoke":
		if out.Before != "active" && out.Before != "review" { // releasing would lift more than was done
			return nil
		}
		u.Item = ""
	case "assign", "verdict", "merge", "unsnooze", "unprotect", "disallow":
		return nil // what it was before is not known here
	}
	if u.Act == "" {
		return nil
	}
	return &undo{Entity: out.Entity.Key(), In: u, Back: back}
}

// offered is an act that a page offers, in the order and the groups of the page.
type offered struct {
	api.ActInfo
	Label string
	Tone  string
}

// mainActs are those that change how an entity stands, each a button beside a reason.
var mainActs = []string{"release", "dismiss", "confirm", "throttle", "suspend", "block", "protect", "unprotect", "reopen", "unsnooze"}

// offers sorts what may be done into buttons beside a reason, and the rest by name.
func (c *Console) offers(all []api.ActInfo) (buttons []offered, rest map[string]*api.ActInfo) {
	rest = map[string]*api.ActInfo{}
	for i := range all {
		rest[all[i].Act] = &all[i]
	}
	for _, name := range mainActs {
		a, ok := rest[name]
		if !ok {
			continue
		}
		o := offered{ActInfo: *a, Label: c.text.word("act", name), Tone: map[string]string{"release": "go", "dismiss": "go", "suspend": "stop", "block": "stop"}[name]}
		if a.TwoPeople {
			o.Label = c.text.say("act.two", o.Label)
		}
		buttons = append(buttons, o)
	}
	return buttons, rest
}

// reasons lists the verdicts with their reasons, as a form offers them.
func reasons() []verdictGroup {
	var out []verdictGroup
	for _, v := range []schemas.CaseVerdict{schemas.CaseCompromised, schemas.CaseExpected, schemas.CaseFalseAlarm} {
		out = append(out, verdictGroup{v, schemas.CaseReasons(v)})
	}
	return out
}

type verdictGroup struct {
	Verdict schemas.CaseVerdict
	Reasons []string
}
