package console

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

// entityData is what the page of an account, an address or an employee shows.
type entityData struct {
	View        api.EntityView
	Case        *schemas.Case
	Buttons     []offered
	Acts        map[string]*api.ActInfo
	Chart       *chart
	Sources     []api.Source
	Lanes       []lane // sources on a line of time
	Credentials []api.Credential
	Snapshot    *snapshot
	Touched     []api.Touch
	Sum         touchSum
	Since       time.Time
	Days        int
	Timeline    api.Page[api.Entry]
	Older       string
	Events      bool
	Key         string
	Export      string
}

// snapshot is what pages show of an account event.
type snapshot struct {
	Plan        string    `json:"plan"`
	Status      string    `json:"status"`
	Created     time.Time `json:"created"`
	Parent      string    `json:"parent"`
	Protected   bool      `json:"protected"`
	Users       []string  `json:"users"`
	Domains     []string  `json:"domains"`
	Credentials []struct {
		ID   string `json:"id"`
		Kind string `json:"kind"`
	} `json:"credentials"`
	Contacts []struct {
		Email string `json:"email"`
		Role  string `json:"role"`
	} `json:"contacts"`
}

// touchSum adds up the accounts of an address or an employee.
type touchSum struct {
	Accounts, Stopped                                    int
	Records, Sends, Logins, Failed, Secrets, Rows, Views int64
}

// lane is one source as a bar on a line of time, in per cent of the picture.
type lane struct {
	api.Source
	X, W string
}

// dayChoices are the spans that pages offer.
var dayChoices = map[string]int{"1": 1, "7": 7, "30": 30, "90": 90, "365": 365}

func (c *Console) entityPage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	e, err := api.EntityOf(r.PathValue("entity"))
	if err != nil {
		return err
	}
	q := r.URL.Query()
	d := entityData{Events: q.Get("events") == "yes", Key: newKey(), Days: dayChoices[q.Get("days")]}
	if d.Days == 0 {
		d.Days = 30
	}
	d.Since = c.now().Add(-time.Duration(d.Days) * 24 * time.Hour).UTC()
	if d.View, err = c.service.Entity(r.Context(), p, e); err != nil {
		return err
	}
	d.Buttons, d.Acts = c.offers(d.View.Acts)
	d.Export = entityURL(e) + "/accounts.csv?days=" + q.Get("days")
	if d.View.Case != nil {
		if v, err := c.service.Case(r.Context(), p, d.View.Case.ID); err == nil {
			d.Case = &v.Case
		}
	}
	get := parts{ctx: r.Context()}
	key, span := e.Key(), api.SpanIn{Entity: e.Key(), Since: d.Since, Limit: 500}
	in := api.TimelineIn{Entity: key, Events: "no", Trials: "no", Kinds: timelineKinds, Cursor: q.Get("cursor"), Limit: 60}
	if d.Events {
		in.Events, in.Kinds = "yes", append([]string{"event"}, timelineKinds...)
	}
	get.get("timeline", func(ctx context.Context) (err error) { d.Timeline, err = c.service.Timeline(ctx, p, in); return err })
	if e.Kind == schemas.KindAccount {
		get.get("sources", func(ctx context.Context) error {
			x, err := c.service.Sources(ctx, p, span)
			d.Sources = x.Items
			return err
		})
		get.get("credentials", func(ctx context.Context) error {
			x, err := c.service.Credentials(ctx, p, span)
			d.Credentials = x.Items
			return err
		})
		get.get("snapshot", func(ctx context.Context) error {
			raw, err := c.service.Snapshot(ctx, p, e)
			if err != nil {
				if api.AsProblem(err).Code == api.CodeNotFound {
					return nil
				}
				return err
			}
			d.Snapshot = new(snapshot)
			_ = json.Unmarshal(raw, d.Snapshot) // what cannot be read is left out
			return nil
		})
		get.get("volume", func(ctx context.Context) (err error) {
			var window schemas.Window
			usual := int64(0)
			if d.Case != nil {
				window, usual = d.Case.Window, d.Case.Usual
			}
			d.Chart, err = c.volume(ctx, p, e, window, time.Time{}, usual, q.Get("step"))
			return err
		})
	} else {
		get.get("touched", func(ctx context.Context) error {
			x, err := c.service.Touched(ctx, p, span)
			d.Touched = x.Items
			return err
		})
	}
	away, err := get.wait()
	if err != nil {
		return err
	}
	d.lanes(c.now())
	for _, t := range d.Touched {
		d.Sum.add(t)
	}
	if d.Timeline.Next != "" {
		q.Set("cursor", d.Timeline.Next)
		d.Older = entityURL(e) + "?" + q.Encode() + "#timeline"
	}
	return c.show(w, r, http.StatusOK, view{Page: "entity", Title: c.text.word("kind", e.Kind) + " " + e.ID, Who: p, Data: d, Chart: d.Chart != nil, Away: away})
}

func (s *touchSum) add(t api.Touch) {
	s.Accounts++
	if t.Status != "" && t.Status != "active" && t.Status != "review" {
		s.Stopped++
	}
	s.Records += t.Records
	s.Sends += t.Sends
	s.Logins += t.Logins
	s.Failed += t.Failed
	s.Secrets += t.Secrets
	s.Rows += t.Rows
	s.Views += t.Views
}

// lanes puts each source on the line of time.
func (d *entityData) lanes(now time.Time) {
	all := now.Sub(d.Since).Seconds()
	if all <= 0 {
		return
	}
	slices.SortFunc(d.Sources, func(a, b api.Source) int { return b.Last.Compare(a.Last) })
	for _, s := range d.Sources {
		x := max(0, s.First.Sub(d.Since).Seconds()/all*100)
		w := max(0.6, s.Last.Sub(s.First).Seconds()/all*100)
		if x+w > 100 {
			x = max(0, 100-w)
		}
		d.Lanes = append(d.Lanes, lane{s, fixed(x), fixed(w)})
	}
}

// touchedCSV is the accounts of an address or an employee, to keep.
func (c *Console) touchedCSV(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	e, err := api.EntityOf(r.PathValue("entity"))
	if err != nil {
		return err
	}
	days := dayChoices[r.URL.Query().Get("days")]
	if days == 0 {
		days = 30
	}
	all, err := c.service.Touched(r.Context(), p, api.SpanIn{Entity: e.Key(), Since: c.now().Add(-time.Duration(days) * 24 * time.Hour), Limit: 10_000})
	if err != nil {
		return err
	}
	out := newCSV(w, strings.ReplaceAll(e.Key(), ":", "-")+"-accounts")
	out.line("account", "first_utc", "last_utc", "records", "recipients", "logins", "logins_failed", "accesses", "secrets_seen", "bulk_rows", "with_ticket", "status", "case")
	for _, t := range all.Items {
		out.line(t.Account, utc(t.First), utc(t.Last), t.Records, t.Sends, t.Logins, t.Failed, t.Views, t.Secrets, t.Rows, t.Tickets, t.Status, t.Case)
	}
	return out.done()
}

// undoAct carries the act out that undoes another.
func (c *Console) undoAct(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	e, err := api.EntityOf(r.PostFormValue("entity"))
	if err != nil {
		return err
	}
	in := c.actIn(r)
	if in.Act == "snooze" {
		in.Until = c.now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	}
	out, err := c.service.Act(r.Context(), p, e, in)
	return c.acted(w, r, local(r.PostFormValue("back"), entityURL(e)), in, out, err)
}
