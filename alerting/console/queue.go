package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

// queueData is what the queue shows.
type queueData struct {
	In     api.CasesIn
	Cases  api.Page[api.CaseLine]
	Counts api.Counts
	Tabs   []tab
	Names  []string
	Next   string // address of the page after this one
	Acts   []api.ActInfo
	Policies,
	Kinds []string
	MayTake, MayBulk bool
	Filtered         bool
}

// tab is one of the lists of the queue.
type tab struct {
	Key, URL string
	Count    int
	Here     bool
}

var stageOrder = []schemas.Stage{schemas.StageOpen, schemas.StageContained, schemas.StageRecovering, schemas.StageProbation, schemas.StageClosed}

// bulkActs are those that the queue offers for many cases at once.
var bulkActs = []string{"assign", "dismiss", "release", "snooze", "verdict", "suspend", "throttle", "note", "join"}

func (c *Console) queuePage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	q := r.URL.Query()
	in := api.CasesIn{
		Stage: words(q["stage"]), Verdict: words(q["verdict"]), Owner: q.Get("owner"), Kind: q.Get("kind"), Policy: q.Get("policy"), Status: words(q["status"]),
		Text: strings.TrimSpace(q.Get("q")), Awaits: q.Get("awaits") == "true", Sort: q.Get("sort"), Cursor: q.Get("cursor"), Limit: 50,
	}
	if q.Get("due") == "over" {
		in.Due = c.now()
	}
	d := queueData{In: in, MayTake: p.MayAct("assign"), MayBulk: p.May(api.RightBulk)}
	var err error
	if d.Cases, err = c.service.Cases(r.Context(), p, in); err != nil {
		return err
	}
	if d.Counts, err = c.service.Count(r.Context(), p); err != nil {
		return err
	}
	d.Tabs = queueTabs(q, d.Counts, p)
	if d.Cases.Next != "" {
		q.Set("cursor", d.Cases.Next)
		d.Next = "/queue?" + q.Encode()
	}
	for _, k := range []string{"q", "kind", "policy", "verdict", "status", "sort"} {
		d.Filtered = d.Filtered || q.Get(k) != ""
	}
	d.Kinds = []string{"account", "employee", "ip"}
	for _, l := range d.Cases.Items {
		for _, x := range l.Policies {
			name, _, _ := strings.Cut(x, "@")
			if !slices.Contains(d.Policies, name) {
				d.Policies = append(d.Policies, name)
			}
		}
	}
	if in.Policy != "" && !slices.Contains(d.Policies, in.Policy) {
		d.Policies = append(d.Policies, in.Policy)
	}
	slices.Sort(d.Policies)
	if d.MayBulk {
		all, err := c.service.Acts(r.Context(), p)
		if err != nil {
			return err
		}
		for _, name := range bulkActs {
			if i := slices.IndexFunc(all.Items, func(a api.ActInfo) bool { return a.Act == name }); i >= 0 {
				d.Acts = append(d.Acts, all.Items[i])
			}
		}
	}
	return c.show(w, r, http.StatusOK, view{Page: "queue", Title: c.text.say("queue.title"), Who: p, Data: d})
}

// words splits what is given with commas, and leaves empty ones out.
func words(in []string) []string {
	var out []string
	for _, x := range in {
		for part := range strings.SplitSeq(x, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

func queueTabs(q url.Values, n api.Counts, p api.Principal) []tab {
	notClosed := 0
	for s, k := range n.Stages {
		if s != schemas.StageClosed {
			notClosed += k
		}
	}
	all := []tab{{Key: "all", URL: "/queue", Count: notClosed}}
	if p.MayAct("assign") {
		all = append(all, tab{Key: "mine", URL: "/queue?owner=me", Count: n.Mine}, tab{Key: "free", URL: "/queue?owner=none", Count: n.Free})
	}
	all = append(all, tab{Key: "over", URL: "/queue?due=over", Count: n.Overdue}, tab{Key: "awaits", URL: "/queue?awaits=true", Count: n.Awaits})
	for _, s := range stageOrder {
		all = append(all, tab{Key: string(s), URL: "/queue?stage=" + string(s), Count: n.Stages[s]})
	}
	here := "all"
	switch {
	case q.Get("awaits") == "true":
		here = "awaits"
	case q.Get("due") == "over":
		here = "over"
	case q.Get("owner") == "me":
		here = "mine"
	case q.Get("owner") == "none":
		here = "free"
	case q.Get("stage") != "":
		here = q.Get("stage")
	}
	for i := range all {
		all[i].Here = all[i].Key == here
	}
	return all
}

// find goes to what was typed: a case, an entity, or the queue with these words.
func (c *Console) find(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	text := strings.TrimSpace(r.URL.Query().Get("q"))
	if text == "" {
		return to(w, r, "/queue")
	}
	if strings.HasPrefix(text, "case_") {
		if _, err := c.service.Case(r.Context(), p, text); err == nil {
			return to(w, r, caseURL(text))
		}
	}
	if !strings.ContainsAny(text, " \t") {
		if e, err := c.known(r, p, text); err == nil {
			return to(w, r, entityURL(e))
		}
	}
	return to(w, r, "/queue?stage=all&q="+url.QueryEscape(text))
}

// known finds the entity that a word names: as it is written, else as an employee.
func (c *Console) known(r *http.Request, p api.Principal, text string) (schemas.Entity, error) {
	tries := []string{text}
	if !strings.Contains(text, ":") {
		tries = append(tries, "employee:"+text)
	}
	for _, name := range tries {
		e, err := api.EntityOf(name)
		if err != nil {
			continue
		}
		v, err := c.service.Entity(r.Context(), p, e)
		if err == nil && (strings.Contains(text, ":") || v.Known == nil || *v.Known) {
			return e, nil
		}
	}
	return schemas.Entity{}, refusal(http.StatusNotFound, "")
}

// nextCase takes the next case.
func (c *Console) nextCase(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	v, err := c.service.Next(r.Context(), p)
	if q := api.AsProblem(err); err != nil && q.Code == api.CodeNotFound {
		c.tell(w, flash{Text: c.text.say("queue.none.free")})
		return to(w, r, "/queue")
	}
	if err != nil {
		return err
	}
	c.tell(w, flash{Text: c.text.say("queue.taken")})
	return to(w, r, caseURL(v.ID))
}

// bulkData is an act on many entities, or its preview.
type bulkData struct {
	View     api.BulkView
	In       api.ActIn
	Entities []string
	Back     string
	Wrong    string
	Acts     []api.ActInfo
	Names    []string
	Needs    []string
	Key      string
}

// bulkIn reads the act that a form asks for.
func (c *Console) actIn(r *http.Request) api.ActIn {
	in := api.ActIn{
		Act: r.FormValue("act"), Why: strings.TrimSpace(r.FormValue("why")), Item: strings.TrimSpace(r.FormValue("item")), Text: strings.TrimSpace(r.FormValue("text")),
		Other: strings.TrimSpace(r.FormValue("other")), Force: r.FormValue("force") == "true", Key: r.FormValue("key"),
	}
	v, reason, _ := strings.Cut(r.FormValue("verdict"), ":")
	in.Verdict, in.Reason = schemas.CaseVerdict(v), reason
	if hours, err := time.ParseDuration(r.FormValue("for")); err == nil && hours > 0 && hours <= 366*24*time.Hour {
		in.Until = c.now().Add(hours).UTC().Truncate(time.Second)
	}
	return in
}

// bulkPreview says whom an act would reach, and asks for what it needs.
func (c *Console) bulkPreview(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	d := bulkData{In: c.actIn(r), Entities: r.URL.Query()["e"], Back: local(r.URL.Query().Get("back"), "/queue"), Key: newKey()}
	if len(d.Entities) == 0 {
		c.tell(w, flash{Bad: true, Text: c.text.say("bulk.nobody")})
		return to(w, r, d.Back)
	}
	ask := d.In
	ask.DryRun = true
	if ask.Why == "" {
		ask.Why = "preview"
	}
	v, err := c.service.Bulk(r.Context(), p, api.BulkIn{ActIn: ask, Entities: d.Entities})
	if err != nil {
		return err
	}
	d.View = v
	all, err := c.service.Acts(r.Context(), p)
	if err != nil {
		return err
	}
	for _, a := range all.Items {
		if a.Act == d.In.Act {
			d.Needs = a.Needs
		}
	}
	names, err := c.service.Names(r.Context(), p)
	if err != nil {
		return err
	}
	d.Names = names.Items
	return c.show(w, r, http.StatusOK, view{Page: "bulk_preview", Title: c.text.say("bulk.preview.title"), Who: p, Data: d})
}

func (c *Console) bulk(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	v, err := c.service.Bulk(r.Context(), p, api.BulkIn{ActIn: c.actIn(r), Entities: r.PostForm["e"]})
	if err != nil {
		if q := api.AsProblem(err); q.Status != http.StatusForbidden && q.Status < 500 {
			c.tell(w, flash{Bad: true, Text: q.Detail})
			return to(w, r, local(r.PostFormValue("here"), "/queue"))
		}
		return err
	}
	return to(w, r, "/bulk/"+url.PathEscape(v.ID))
}

func (c *Console) bulksPage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	all, err := c.service.Bulks(r.Context(), p)
	if err != nil {
		return err
	}
	return c.show(w, r, http.StatusOK, view{Page: "bulks", Title: c.text.say("nav.bulks"), Who: p, Data: all})
}

func (c *Console) bulkPage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	v, err := c.service.BulkByID(r.Context(), p, r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.show(w, r, http.StatusOK, view{Page: "bulk", Title: c.text.say("bulk.title", c.text.word("act", v.Act), len(v.Reached)), Who: p, Data: v})
}

// bulkAnswer is the second person's.
func (c *Console) bulkAnswer(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	id := r.PathValue("id")
	_, err := c.service.Approve(r.Context(), p, id, r.PostFormValue("answer") == "approve", strings.TrimSpace(r.PostFormValue("why")))
	return c.after(w, r, "/bulk/"+url.PathEscape(id), c.text.say("bulk.answered"), err)
}

// after goes back to a page and says there what came of it.
func (c *Console) after(w http.ResponseWriter, r *http.Request, back, text string, err error) error {
	if err != nil {
		q := api.AsProblem(err)
		if q.Status == http.StatusForbidden || q.Code == api.CodeInternal {
			return err
		}
		c.tell(w, flash{Bad: true, Text: q.Detail})
		return to(w, r, back)
	}
	c.tell(w, flash{Text: text})
	return to(w, r, back)
}
