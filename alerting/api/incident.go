package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"holdfast/schemas"
)

// Incidents answers from the past what an incident asks. Each question looks through all
// that is recorded and may take a minute.
type Incidents interface {
	// Scope finds whom an employee or an address reached between two times, and commits that
	// to the log of proof, with who asked and why.
	Scope(ctx context.Context, e schemas.Entity, from, to time.Time, by, why string) (*schemas.Scope, error)
	// CampaignProgress tells how far a campaign's credentials are renewed.
	CampaignProgress(ctx context.Context, c *schemas.Campaign, limit int) (*schemas.Progress, error)
	// CheckIndicator says why an indicator cannot be looked for.
	CheckIndicator(indicator string) error
	// Hunt looks for indicators in what is recorded; a zero time is no bound.
	Hunt(ctx context.Context, indicators []string, from, to time.Time) (*schemas.Hunt, error)
}

// The results as a lane takes them, in bytes.
const (
	mostScope    = 250 << 10
	mostHunt     = 60 << 10
	mostCampaign = 300 << 10
)

func (b *Book) incident(r Record) error {
	var x schemas.Incident
	if r.Value != nil {
		if err := json.Unmarshal(r.Value, &x); err != nil || x.Entity.Key() != r.Key {
			return fmt.Errorf("incident %s cannot be read: %w", r.Key, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Value == nil {
		delete(b.incidents, r.Key)
	} else {
		b.incidents[r.Key] = x
	}
	return nil
}

func incidentEntity(id string) schemas.Entity {
	return schemas.Entity{Kind: schemas.KindIncident, ID: id}
}

// Incident gives an incident. It must not be changed.
func (b *Book) Incident(id string) (schemas.Incident, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	x, ok := b.incidents[incidentEntity(id).Key()]
	return x, ok
}

// hasIncident waits a moment until the copy has an incident's version.
func (b *Book) hasIncident(ctx context.Context, id string, version int) {
	until(ctx, func() bool { x, ok := b.Incident(id); return ok && x.Version >= version })
}

// IncidentsIn asks for incidents.
type IncidentsIn struct {
	State string `query:"state" doc:"Only these: open or closed."`
	Text  string `query:"q" doc:"Words that the title or the cause contains."`
}

// IncidentLine is an incident in a list.
type IncidentLine struct {
	ID       string        `json:"id"`
	Version  int           `json:"version"`
	Cause    schemas.Cause `json:"cause"`
	Title    string        `json:"title"`
	State    string        `json:"state"`
	Owner    string        `json:"owner,omitempty"`
	Opened   time.Time     `json:"opened"`
	Closed   time.Time     `json:"closed,omitzero"`
	Members  int           `json:"members"`
	Reached  int64         `json:"reached,omitzero"` // customers, by the newest scope
	Campaign bool          `json:"campaign,omitzero"`
	Hunts    int           `json:"hunts,omitzero"`
}

// Incidents lists incidents, the newest first.
func (s *Service) Incidents(_ context.Context, p Principal, in IncidentsIn) (Page[IncidentLine], error) {
	out := Page[IncidentLine]{Items: []IncidentLine{}}
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	s.book.mu.RLock()
	for _, x := range s.book.incidents {
		if in.State != "" && in.State != x.State || in.Text != "" && !strings.Contains(strings.ToLower(x.Title+" "+x.Cause.String()), strings.ToLower(in.Text)) {
			continue
		}
		line := IncidentLine{ID: x.ID, Version: x.Version, Cause: x.Cause, Title: x.Title, State: x.State, Owner: x.Owner, Opened: x.Opened, Closed: x.Closed, Members: len(x.Members), Campaign: x.Campaign != nil, Hunts: len(x.Hunts)}
		if x.Scope != nil {
			line.Reached = x.Scope.Customers
		}
		out.Items = append(out.Items, line)
	}
	s.book.mu.RUnlock()
	slices.SortFunc(out.Items, func(a, b IncidentLine) int { return cmp.Or(b.Opened.Compare(a.Opened), cmp.Compare(a.ID, b.ID)) })
	out.Total = len(out.Items)
	return out, nil
}

// IncidentView is an incident as it is now, with how its members stand.
type IncidentView struct {
	schemas.Incident `json:",inline"`
	Standing         []MemberView `json:"standing"` // of each member, in their order
}

// MemberView is how a member of an incident stands.
type MemberView struct {
	Entity schemas.Entity `json:"entity"`
	Status string         `json:"status"`
	Case   string         `json:"case,omitempty"`
	Stage  schemas.Stage  `json:"stage,omitempty"`
}

// ETag is that of the incident.
func (v IncidentView) ETag() string { return etagOf(v.ID, v.Version) }

// Incident gives an incident.
func (s *Service) Incident(_ context.Context, p Principal, id string) (out IncidentView, err error) {
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	x, ok := s.book.Incident(id)
	if !ok {
		return out, notFound("there is no incident %s", clip(id, 64))
	}
	out = IncidentView{Incident: x, Standing: []MemberView{}}
	for _, m := range x.Members {
		st, _ := s.book.Status(m.Entity)
		v := MemberView{Entity: m.Entity, Status: st.Status}
		if c, ok := s.book.CaseOf(m.Entity); ok {
			v.Case, v.Stage = c.ID, c.Stage
		}
		out.Standing = append(out.Standing, v)
	}
	return out, nil
}

// NewIncident is an incident to open.
type NewIncident struct {
	Cause string `json:"cause"` // employee:ID, address:ADDRESS, list or other
	Title string `json:"title"`
	Why   string `json:"why"`
	Key   string `json:"-"` // it is opened once for each
}

// OpenIncident opens an incident.
func (s *Service) OpenIncident(ctx context.Context, p Principal, in NewIncident) (IncidentView, error) {
	id := "inc_" + strings.ToLower(ulid.Make().String())
	if in.Key != "" {
		id = schemas.DeriveID("inc", p.Name, in.Key)
	}
	e := incidentEntity(id)
	if err := p.need(RightIncident); err != nil {
		return IncidentView{}, s.deny(ctx, p, "incident_open", e, in.Why, err)
	}
	if _, err := schemas.ParseCause(in.Cause); err != nil {
		return IncidentView{}, invalid("cause", "%s", err.Error())
	}
	if strings.TrimSpace(in.Title) == "" || len(in.Title) > 256 {
		return IncidentView{}, invalid("title", "the title is missing, or has more than 256 bytes")
	}
	return s.onIncident(ctx, p, schemas.Request{Entity: e, Act: "incident_open", Item: in.Cause, Text: in.Title, Why: in.Why}, in.Key)
}

// IncidentActIn is an act on an incident.
type IncidentActIn struct {
	// Act is join, leave, note, assign, campaign, close or reopen.
	Act string `json:"act"`
	Why string `json:"why,omitempty"`
	// Item is the entity that joins or leaves, or a case's id; the person whom it is given to;
	// or everybody, whose credentials a campaign is about.
	Item string `json:"item,omitempty"`
	// Text is the note, or a campaign's list of credentials, one a line.
	Text string `json:"text,omitempty"`
	// Since is from when on a change of a credential counts for a campaign; now, if it is not given.
	Since time.Time `json:"since,omitzero"`

	Version *int   `json:"-"`
	Key     string `json:"-"`
}

var incidentActs = []string{"join", "leave", "note", "assign", "campaign", "close", "reopen"}

// ActOnIncident carries an act on an incident out.
func (s *Service) ActOnIncident(ctx context.Context, p Principal, id string, in IncidentActIn) (IncidentView, error) {
	e := incidentEntity(id)
	if err := p.need(RightIncident); err != nil {
		return IncidentView{}, s.deny(ctx, p, "incident_"+clip(in.Act, 32), e, in.Why, err)
	}
	switch most := map[bool]int{true: mostCampaign, false: maxText}[in.Act == "campaign"]; {
	case !slices.Contains(incidentActs, in.Act):
		return IncidentView{}, invalid("act", "act %q is unknown: use one of %s", clip(in.Act, 64), strings.Join(incidentActs, ", "))
	case len(in.Text) > most:
		return IncidentView{}, invalid("text", "text has %d bytes: write at most %d", len(in.Text), most)
	case in.Why == "" && in.Act != "note" && in.Act != "assign":
		return IncidentView{}, invalid("why", "why is missing")
	}
	if _, ok := s.book.Incident(id); !ok {
		return IncidentView{}, notFound("there is no incident %s", clip(id, 64))
	}
	r := schemas.Request{Entity: e, Act: "incident_" + in.Act, Item: in.Item, Text: in.Text, Why: cmp.Or(in.Why, in.Act), Version: in.Version}
	switch in.Act {
	case "join", "leave":
		if c, ok := s.book.Case(in.Item); ok {
			r.Item = c.Entity.Key()
		} else if member, err := EntityOf(in.Item); err != nil {
			return IncidentView{}, err
		} else {
			r.Item = member.Key()
		}
	case "campaign":
		if r.Until = in.Since.UTC(); in.Since.IsZero() {
			r.Until = time.Time{}
		}
	}
	return s.onIncident(ctx, p, r, in.Key)
}

// onIncident hands a request over and gives the incident afterwards.
func (s *Service) onIncident(ctx context.Context, p Principal, r schemas.Request, key string) (IncidentView, error) {
	if r.Why == "" || len(r.Why) > maxWhy || len(r.Item) > maxItem {
		return IncidentView{}, invalid("why", "why is missing, or it or item is too long")
	}
	r.ID, r.Time, r.Actor, r.Address = "req_"+ulid.Make().String(), s.now().UTC().Truncate(time.Millisecond), p.Name, p.From
	if key != "" {
		r.ID = schemas.DeriveID("req", p.Name, key)
	}
	op, err := s.once(ctx, p, r)
	if err != nil {
		return IncidentView{}, err
	}
	if op.Refused != "" {
		version := 0
		if x, ok := s.book.Incident(r.Entity.ID); ok {
			version = x.Version
		}
		return IncidentView{}, ofLane(op.Refused, version)
	}
	s.book.seen(ctx, r.Entity)
	s.book.hasIncident(ctx, r.Entity.ID, op.Version)
	return s.Incident(ctx, p, r.Entity.ID)
}

// ScopeIn asks for the scope of an incident whose cause is an employee or an address.
type ScopeIn struct {
	Entity string    `json:"entity,omitempty"` // where the cause names none: employee:ID, or an address
	From   time.Time `json:"from,omitzero"`    // zero: all that is recorded
	To     time.Time `json:"to,omitzero"`      // zero: now
	Why    string    `json:"why,omitempty"`
	Key    string    `json:"-"`
}

// Scope runs the question whom an employee or an address reached and keeps the result on
// the incident.
func (s *Service) Scope(ctx context.Context, p Principal, id string, in ScopeIn) (IncidentView, error) {
	x, err := s.toAsk(ctx, p, id, "incident_scope", in.Why)
	if err != nil {
		return IncidentView{}, err
	}
	of := map[string]schemas.EntityKind{schemas.CauseEmployee: schemas.KindEmployee, schemas.CauseAddress: schemas.KindIP}[x.Cause.Kind]
	if in.Entity == "" && of != "" {
		in.Entity = string(of) + ":" + x.Cause.Value
	}
	if in.To.IsZero() {
		in.To = s.now().UTC()
	}
	e, err := EntityOf(in.Entity)
	switch {
	case err != nil:
		return IncidentView{}, err
	case e.Kind != schemas.KindEmployee && e.Kind != schemas.KindIP:
		return IncidentView{}, invalid("entity", "the incident's cause is neither an employee nor an address: give one")
	case !in.From.Before(in.To):
		return IncidentView{}, invalid("from", "from is not before to")
	}
	found, err := s.past.Scope(ctx, e, in.From, in.To, p.Name, cmp.Or(in.Why, "the scope of incident "+id))
	if err != nil {
		return IncidentView{}, away(err)
	}
	text := asText(found)
	for len(text) > mostScope && len(found.Reached) > 0 {
		found.Reached, found.Cut = found.Reached[:len(found.Reached)/2], true
		text = asText(found)
	}
	return s.onIncident(ctx, p, schemas.Request{Entity: x.Entity, Act: "incident_scope", Text: text, Why: cmp.Or(in.Why, "what was reached")}, in.Key)
}

// toAsk gives an incident that a person may ask the past for.
func (s *Service) toAsk(ctx context.Context, p Principal, id, act, why string) (schemas.Incident, error) {
	if err := p.need(RightIncident); err != nil {
		return schemas.Incident{}, s.deny(ctx, p, act, incidentEntity(id), why, err)
	}
	x, ok := s.book.Incident(id)
	switch {
	case !ok:
		return x, notFound("there is no incident %s", clip(id, 64))
	case s.past == nil:
		return x, away(errors.New("nothing answers questions of the past here"))
	}
	return x, nil
}

// CampaignIn asks how far an incident's campaign is.
type CampaignIn struct {
	ID    string `path:"id" doc:"The incident."`
	Limit int    `query:"limit" max:"2000" doc:"How many credentials at most; 500 where nothing is said."`
}

// Campaign tells how far an incident's campaign is.
func (s *Service) Campaign(ctx context.Context, p Principal, in CampaignIn) (schemas.Progress, error) {
	if err := p.need(RightRead); err != nil {
		return schemas.Progress{}, err
	}
	x, ok := s.book.Incident(in.ID)
	switch {
	case !ok:
		return schemas.Progress{}, notFound("there is no incident %s", clip(in.ID, 64))
	case x.Campaign == nil:
		return schemas.Progress{}, notFound("incident %s has no campaign", clip(in.ID, 64))
	case s.past == nil:
		return schemas.Progress{}, away(errors.New("nothing answers questions of the past here"))
	}
	out, err := s.past.CampaignProgress(ctx, x.Campaign, limitOf(in.Limit, 500, 2000))
	if err != nil {
		return schemas.Progress{}, away(err)
	}
	return *out, nil
}

// HuntIn is what to look for in the past.
type HuntIn struct {
	// Indicators are addresses, networks, ua:TEXT for part of a user agent, and key:ID.
	Indicators []string  `json:"indicators"`
	From       time.Time `json:"from,omitzero"`
	To         time.Time `json:"to,omitzero"`
	Why        string    `json:"why"`
	Key        string    `json:"-"`
}

// Hunt looks for indicators in all that is recorded and keeps the result on the incident.
func (s *Service) Hunt(ctx context.Context, p Principal, id string, in HuntIn) (IncidentView, error) {
	x, err := s.toAsk(ctx, p, id, "incident_hunt", in.Why)
	if err != nil {
		return IncidentView{}, err
	}
	if n := len(in.Indicators); n == 0 || n > schemas.MaxIndicators {
		return IncidentView{}, invalid("indicators", "%d indicators: give 1 to %d", n, schemas.MaxIndicators)
	}
	for _, one := range in.Indicators {
		if len(one) > 200 {
			return IncidentView{}, invalid("indicators", "an indicator has %d bytes: write at most 200", len(one))
		}
		if err := s.past.CheckIndicator(one); err != nil {
			return IncidentView{}, invalid("indicators", "%s", err.Error())
		}
	}
	if in.Why == "" {
		return IncidentView{}, invalid("why", "why is missing")
	}
	found, err := s.past.Hunt(ctx, in.Indicators, in.From, cmp.Or(in.To, s.now().UTC()))
	if err != nil {
		return IncidentView{}, away(err)
	}
	text := asText(found)
	for len(text) > mostHunt && len(found.Accounts) > 0 {
		found.Accounts = found.Accounts[:len(found.Accounts)/2]
		text = asText(found)
	}
	return s.onIncident(ctx, p, schemas.Request{Entity: x.Entity, Act: "incident_hunt", Text: text, Why: in.Why}, in.Key)
}

type incidentBodyIn[T any] struct {
	ID   string `path:"id" doc:"The incident."`
	Key  string `header:"Idempotency-Key" doc:"It is done once for each key, within a day."`
	Body T      `body:"json"`
}

type incidentActIn struct {
	ID    string        `path:"id" doc:"The incident."`
	Match string        `header:"If-Match" doc:"The ETag of the incident as it was seen, or * for any. Without it any is meant."`
	Key   string        `header:"Idempotency-Key" doc:"It is done once for each key, within a day."`
	Body  IncidentActIn `body:"json"`
}

type openIncidentIn struct {
	Key  string      `header:"Idempotency-Key" doc:"It is opened once for each key, within a day."`
	Body NewIncident `body:"json"`
}

func incidentRoutes() []route {
	type S = *Service
	type C = context.Context
	type P = Principal
	get, post := http.MethodGet, http.MethodPost
	return []route{
		ask(get, "/v1/incidents", RightRead, "incidents", "listIncidents", "Incidents, the newest first.", func(s S, c C, p P, in *IncidentsIn) (Page[IncidentLine], error) { return s.Incidents(c, p, *in) }),
		ask(post, "/v1/incidents", RightIncident, "incidents", "openIncident", "Open an incident: what several cases have in common.", func(s S, c C, p P, in *openIncidentIn) (IncidentView, error) {
			in.Body.Key = in.Key
			return s.OpenIncident(c, p, in.Body)
		}).withStatus(http.StatusCreated),
		ask(get, "/v1/incidents/{id}", RightRead, "incidents", "getIncident", "An incident as it is now, with its version as ETag.", func(s S, c C, p P, in *idIn) (IncidentView, error) { return s.Incident(c, p, in.ID) }),
		ask(post, "/v1/incidents/{id}/acts", RightIncident, "incidents", "actOnIncident", "Let a case join or leave an incident, write a note, assign it, ask for credentials to be renewed, close it.", func(s S, c C, p P, in *incidentActIn) (IncidentView, error) {
			in.Body.Key = in.Key
			if in.Match != "" {
				v, any, err := versionOf(in.Match, in.ID)
				if err != nil {
					return IncidentView{}, err
				}
				if !any {
					in.Body.Version = &v
				}
			}
			return s.ActOnIncident(c, p, in.ID, in.Body)
		}).withBig(),
		ask(post, "/v1/incidents/{id}/scope", RightIncident, "incidents", "runScope", "Find out whom an employee or an address reached, commit that to the log of proof and keep the result.", func(s S, c C, p P, in *incidentBodyIn[ScopeIn]) (IncidentView, error) {
			in.Body.Key = in.Key
			return s.Scope(c, p, in.ID, in.Body)
		}),
		ask(get, "/v1/incidents/{id}/campaign", RightRead, "incidents", "getCampaign", "How far an incident's credentials are renewed.", func(s S, c C, p P, in *CampaignIn) (schemas.Progress, error) { return s.Campaign(c, p, *in) }),
		ask(post, "/v1/incidents/{id}/hunts", RightIncident, "incidents", "runHunt", "Look for indicators in all that is recorded, and keep the result.", func(s S, c C, p P, in *incidentBodyIn[HuntIn]) (IncidentView, error) {
			in.Body.Key = in.Key
			return s.Hunt(c, p, in.ID, in.Body)
		}),
	}
}
