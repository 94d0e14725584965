package api

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// EntityOf reads kind:id; a bare address is one, any other bare word an account. An IPv6
// address is watched as its network, so that is what is meant.
func EntityOf(name string) (schemas.Entity, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return schemas.IPEntity(a), nil
	}
	if name != "" && !strings.Contains(name, ":") {
		return schemas.Entity{Kind: schemas.KindAccount, ID: name}, nil
	}
	e, err := schemas.ParseEntity(name)
	if err != nil {
		return e, invalid("entity", "%s", err.Error())
	}
	if len(name) > 512 {
		return e, invalid("entity", "the name has %d bytes: write at most 512", len(name))
	}
	if a, aerr := netip.ParseAddr(e.ID); aerr == nil && e.Kind == schemas.KindIP {
		return schemas.IPEntity(a), nil
	}
	return e, nil
}

// StandingIn asks for entities that are not active.
type StandingIn struct {
	Status  []string `query:"status" doc:"Only these: review, throttled, revoked, suspended, blocked."`
	Verdict []string `query:"verdict" doc:"Only those whose decision was one of these."`
	Kind    string   `query:"kind" doc:"Only of this kind of entity: account, ip, employee."`
	Text    string   `query:"q" doc:"Words that its name contains."`
	Cursor  string   `query:"cursor" doc:"Where to go on: next of the page before."`
	Limit   int      `query:"limit" max:"1000" doc:"How many at most; 100 where nothing is said."`
}

// StandingLine is an entity that is not active, and how far that is carried out.
type StandingLine struct {
	schemas.Status
	CarriedOut []Receipt `json:"carried_out"`
}

type standingAt struct {
	Rank  int       `json:"r"`
	Since time.Time `json:"t"`
	Key   string    `json:"k"`
}

func standingOrder(a, b standingAt) int {
	return cmp.Or(b.Rank-a.Rank, b.Since.Compare(a.Since), cmp.Compare(a.Key, b.Key))
}

func placeOf(s *schemas.Status) standingAt {
	return standingAt{s.Verdict.Rank(), s.Since, s.Entity.Key()}
}

// Standing lists entities that are stopped, throttled or to be reviewed, the gravest first.
func (s *Service) Standing(ctx context.Context, p Principal, in StandingIn) (Page[StandingLine], error) {
	var out Page[StandingLine]
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	question := func() string { q := in; q.Cursor, q.Limit = "", 0; return "standing" + asText(q) }()
	var at standingAt
	going, err := s.unseal(question, in.Cursor, &at)
	if err != nil {
		return out, err
	}
	all := s.book.standing(func(x *schemas.Status) bool {
		return (x.Status != "active" || x.PerDay > 0) && (len(in.Status) == 0 || slices.Contains(in.Status, x.Status)) &&
			(len(in.Verdict) == 0 || slices.Contains(in.Verdict, string(x.Verdict))) &&
			(in.Kind == "" || in.Kind == string(x.Entity.Kind)) && (in.Text == "" || strings.Contains(x.Entity.ID, in.Text))
	})
	out.Total = len(all)
	slices.SortFunc(all, func(a, b schemas.Status) int { return standingOrder(placeOf(&a), placeOf(&b)) })
	if going {
		all = slices.DeleteFunc(all, func(x schemas.Status) bool { return standingOrder(placeOf(&x), at) <= 0 })
	}
	if limit := limitOf(in.Limit, 100, 1000); len(all) > limit {
		all = all[:limit]
		out.Next = s.seal(question, placeOf(&all[limit-1]))
	}
	out.Items = make([]StandingLine, len(all))
	for i, x := range all {
		out.Items[i] = StandingLine{Status: x, CarriedOut: s.progress(ctx, x.Entity)}
	}
	return out, nil
}

func (s *Service) progress(ctx context.Context, e schemas.Entity) []Receipt {
	if s.receivers == nil {
		return nil
	}
	out, err := s.receivers.Progress(ctx, e)
	if err != nil {
		s.log.Warn("how far a status is carried out is not known", "entity", e.Key(), "error", err)
	}
	return out
}

// EntityView is the present state of an entity.
type EntityView struct {
	Entity  schemas.Entity `json:"entity"`
	Status  schemas.Status `json:"status"`
	Decided bool           `json:"decided"` // something was once decided about it
	// Known says that anything is recorded of it; nil where the audit store does not say.
	Known      *bool     `json:"known,omitempty"`
	Case       *CaseLine `json:"case,omitempty"` // the newest
	Snooze     *Snooze   `json:"snooze,omitempty"`
	Allowed    []Allow   `json:"allowed,omitempty"`
	CarriedOut []Receipt `json:"carried_out,omitempty"`
	Acts       []ActInfo `json:"acts"`
}

// ETag is the status's.
func (v EntityView) ETag() string { return etagOf(fmt.Sprint("s", v.Status.Episode), v.Status.Step) }

// Entity returns the present state of an entity.
func (s *Service) Entity(ctx context.Context, p Principal, e schemas.Entity) (EntityView, error) {
	out := EntityView{Entity: e}
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	out.Status, out.Decided = s.book.Status(e)
	var at *schemas.Case
	if c, ok := s.book.CaseOf(e); ok {
		l := lineOf(&c)
		l.Status, at, out.Case = out.Status.Status, &c, &l
	}
	out.Snooze = s.snoozeOf(e)
	_, allows := s.book.expected(s.now())
	for _, a := range allows {
		if a.Entity == e {
			out.Allowed = append(out.Allowed, a)
		}
	}
	if out.Decided {
		out.CarriedOut = s.progress(ctx, e)
		yes := true
		out.Known = &yes
	} else if known, err := s.history.Known(ctx, e); err == nil {
		out.Known = &known
	}
	out.Acts = s.actsFor(p, e, out.Status, at, out.Snooze)
	return out, nil
}

// TimelineIn asks for an entity's past.
type TimelineIn struct {
	Entity string    `path:"entity" doc:"kind:id, for example account:acct-1."`
	Since  time.Time `query:"since" doc:"Nothing older."`
	Until  time.Time `query:"until" doc:"Nothing from this time on."`
	Kinds  []string  `query:"kind" doc:"Only these kinds of record: event, signal, decision, action, notice, case, operator, request."`
	Events string    `query:"events" enum:"yes,no" doc:"no leaves events out."`
	Trials string    `query:"trials" enum:"yes,no" doc:"no leaves out what numbers in shadow found."`
	Cursor string    `query:"cursor" doc:"Where to go on: next of the page before."`
	Limit  int       `query:"limit" max:"10000" doc:"How many at most; 200 where nothing is said."`
}

// Timeline tells an entity's past, the newest first.
func (s *Service) Timeline(ctx context.Context, p Principal, in TimelineIn) (Page[Entry], error) {
	var out Page[Entry]
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	e, err := EntityOf(in.Entity)
	if err != nil {
		return out, err
	}
	question := func() string { q := in; q.Cursor, q.Limit = "", 0; return "timeline" + asText(q) }()
	var at Place
	going, err := s.unseal(question, in.Cursor, &at)
	if err != nil {
		return out, err
	}
	q := Span{From: in.Since, To: in.Until, NoEvents: in.Events == "no", NoTrials: in.Trials == "no", Limit: limitOf(in.Limit, 200, 10_000)}
	for _, k := range in.Kinds {
		q.Kinds = append(q.Kinds, schemas.Kind(k))
	}
	if going {
		q.After = &at
	}
	return s.entries(out, question, q, func(q Span) ([]Entry, error) { return s.history.Timeline(ctx, e, q) })
}

func (s *Service) entries(out Page[Entry], question string, q Span, ask func(Span) ([]Entry, error)) (Page[Entry], error) {
	limit := q.Limit
	q.Limit++
	all, err := ask(q)
	if err != nil {
		return out, err
	}
	if len(all) > limit {
		all = all[:limit]
		out.Next = s.seal(question, all[limit-1].Place)
	}
	out.Items = append([]Entry{}, all...)
	return out, nil
}

// CaseDetail is what the audit store adds to a case.
type CaseDetail struct {
	Decisions []schemas.Decision `json:"decisions"`
	Signals   []schemas.Signal   `json:"signals"`
	Actions   []schemas.Action   `json:"actions"`
	Notices   []schemas.Notice   `json:"notices"`
	Earlier   []CaseLine         `json:"earlier"` // the entity's other cases
}

// CaseDetail gives a case's decisions with the signals behind them, what was done because
// of them and who was told.
func (s *Service) CaseDetail(ctx context.Context, p Principal, id string) (CaseDetail, error) {
	var out CaseDetail
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	c, _, err := s.findCase(ctx, id)
	if err != nil {
		return out, err
	}
	if out.Decisions, err = s.history.Decisions(ctx, c.Decisions, c.Entity); err != nil {
		return out, err
	}
	var signals []string
	for _, d := range out.Decisions {
		signals = append(signals, d.Signals...)
	}
	slices.Sort(signals)
	if out.Signals, err = s.history.Signals(ctx, slices.Compact(signals), c.Entity); err != nil {
		return out, err
	}
	if out.Actions, out.Notices, err = s.history.Told(ctx, c.Decisions, c.Entity); err != nil {
		return out, err
	}
	others, err := s.history.CasesOf(ctx, c.Entity, 50)
	for i := range others {
		if others[i].ID != c.ID {
			out.Earlier = append(out.Earlier, lineOf(&others[i]))
		}
	}
	return out, err
}

// CaseReach counts what was reached within a case's window.
func (s *Service) CaseReach(ctx context.Context, p Principal, id string) (Reach, error) {
	if err := p.need(RightRead); err != nil {
		return Reach{}, err
	}
	c, _, err := s.findCase(ctx, id)
	if err != nil {
		return Reach{}, err
	}
	from, to := c.Window.From, c.Window.To
	if from.IsZero() {
		from = c.Opened.Add(-24 * time.Hour)
	}
	if to.Before(from) {
		to = cmp.Or(c.Closed, s.now())
	}
	return s.history.Reach(ctx, c.Entity, from, to)
}

// SpanIn asks for a part of an entity's past.
type SpanIn struct {
	Entity string    `path:"entity" doc:"kind:id, for example ip:192.0.2.1."`
	Since  time.Time `query:"since" doc:"Nothing older; 30 days where nothing is said."`
	Until  time.Time `query:"until" doc:"Nothing from this time on."`
	Limit  int       `query:"limit" max:"10000" doc:"How many at most; 200 where nothing is said."`
}

func (s *Service) span(p Principal, in SpanIn, kinds ...schemas.EntityKind) (e schemas.Entity, q Span, err error) {
	if err := p.need(RightRead); err != nil {
		return e, q, err
	}
	if e, err = EntityOf(in.Entity); err != nil {
		return e, q, err
	}
	if !slices.Contains(kinds, e.Kind) {
		return e, q, invalid("entity", "%s is none of %v", e.Key(), kinds)
	}
	q = Span{From: in.Since, To: in.Until, Limit: limitOf(in.Limit, 200, 10_000)}
	if q.From.IsZero() {
		q.From = s.now().Add(-30 * 24 * time.Hour)
	}
	return e, q, nil
}

// Touched lists the accounts that an address was used for or that an employee reached.
func (s *Service) Touched(ctx context.Context, p Principal, in SpanIn) (Page[Touch], error) {
	var out Page[Touch]
	e, q, err := s.span(p, in, schemas.KindIP, schemas.KindEmployee)
	if err != nil {
		return out, err
	}
	all, err := s.history.Touched(ctx, e, q)
	for i := range all {
		account := schemas.Entity{Kind: schemas.KindAccount, ID: all[i].Account}
		st, _ := s.book.Status(account)
		all[i].Status = st.Status
		if c, ok := s.book.CaseOf(account); ok {
			all[i].Case = c.ID
		}
	}
	out.Items, out.Total = append([]Touch{}, all...), len(all)
	return out, err
}

// Sources lists the addresses that an account was used from.
func (s *Service) Sources(ctx context.Context, p Principal, in SpanIn) (Page[Source], error) {
	var out Page[Source]
	e, q, err := s.span(p, in, schemas.KindAccount)
	if err != nil {
		return out, err
	}
	all, err := s.history.Sources(ctx, e, q)
	out.Items = append([]Source{}, all...)
	return out, err
}

// Credentials lists an account's, with their last use.
func (s *Service) Credentials(ctx context.Context, p Principal, in SpanIn) (Page[Credential], error) {
	var out Page[Credential]
	e, q, err := s.span(p, in, schemas.KindAccount)
	if err != nil {
		return out, err
	}
	all, err := s.history.Credentials(ctx, e, q)
	out.Items = append([]Credential{}, all...)
	return out, err
}

// Snapshot gives the newest account event of an account, by its JSON Schema.
func (s *Service) Snapshot(ctx context.Context, p Principal, e schemas.Entity) (jsontext.Value, error) {
	if err := p.need(RightRead); err != nil {
		return nil, err
	}
	v, err := s.history.Snapshot(ctx, e)
	if err == nil && v == nil {
		return nil, notFound("no snapshot of %s is recorded", e.Key())
	}
	return v, err
}

// VolumeIn asks for a time series.
type VolumeIn struct {
	Entity string    `path:"entity" doc:"account:id."`
	Since  time.Time `query:"since" doc:"Its beginning; 14 days where nothing is said."`
	Until  time.Time `query:"until" doc:"Its end; now where nothing is said."`
	Step   string    `query:"step" enum:"5m,1h,1d" doc:"Of each point; 1h where nothing is said."`
}

// Volume gives an account's recipients by step.
func (s *Service) Volume(ctx context.Context, p Principal, in VolumeIn) (Page[Bucket], error) {
	var out Page[Bucket]
	e, q, err := s.span(p, SpanIn{Entity: in.Entity, Since: in.Since, Until: in.Until}, schemas.KindAccount)
	if err != nil {
		return out, err
	}
	if in.Since.IsZero() {
		q.From = s.now().Add(-14 * 24 * time.Hour)
	}
	if q.To.IsZero() {
		q.To = s.now()
	}
	step, ok := map[string]time.Duration{"": time.Hour, "5m": 5 * time.Minute, "1h": time.Hour, "1d": 24 * time.Hour}[in.Step]
	if !ok {
		return out, invalid("step", "step %q is unknown: use 5m, 1h or 1d", in.Step)
	}
	if q.To.Sub(q.From)/step > 5000 {
		return out, invalid("since", "that is more than 5,000 points: ask for less, or a longer step")
	}
	all, err := s.history.Volume(ctx, e, q.From, q.To, step)
	out.Items = append([]Bucket{}, all...)
	return out, err
}

// OperatorsIn asks what people did.
type OperatorsIn struct {
	Actor   string    `query:"actor" doc:"Only this person."`
	Act     string    `query:"act" doc:"Only this act."`
	Entity  string    `query:"entity" doc:"Only on this entity."`
	Refused string    `query:"refused" enum:"yes,no" doc:"yes: only what was refused; no: only what was not."`
	Since   time.Time `query:"since" doc:"Nothing older; 90 days where nothing is said."`
	Until   time.Time `query:"until" doc:"Nothing from this time on."`
	Cursor  string    `query:"cursor" doc:"Where to go on: next of the page before."`
	Limit   int       `query:"limit" max:"1000" doc:"How many at most; 100 where nothing is said."`
}

// Operators tells what people did, the newest first.
func (s *Service) Operators(ctx context.Context, p Principal, in OperatorsIn) (Page[Entry], error) {
	var out Page[Entry]
	if err := p.need(RightAudit); err != nil {
		return out, err
	}
	if in.Entity != "" {
		e, err := EntityOf(in.Entity)
		if err != nil {
			return out, err
		}
		in.Entity = e.Key()
	}
	question := func() string { q := in; q.Cursor, q.Limit = "", 0; return "operators" + asText(q) }()
	var at Place
	going, err := s.unseal(question, in.Cursor, &at)
	if err != nil {
		return out, err
	}
	if in.Since.IsZero() {
		in.Since = s.now().Add(-90 * 24 * time.Hour).Truncate(time.Hour)
	}
	var after *Place
	if going {
		after = &at
	}
	return s.entries(out, question, Span{Limit: limitOf(in.Limit, 100, 1000)}, func(q Span) ([]Entry, error) {
		in.Limit = q.Limit
		return s.history.Operators(ctx, in, after)
	})
}

// Expected is who is snoozed and what is allowed.
type Expected struct {
	Snoozes []Allow `json:"snoozes"`
	Allows  []Allow `json:"allows"`
}

// Expected lists snoozes and allowances that hold now, those that end first in front, with
// how many signals each has hidden so far.
func (s *Service) Expected(ctx context.Context, p Principal) (Expected, error) {
	out := Expected{Snoozes: []Allow{}, Allows: []Allow{}}
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	now := s.now()
	snoozes, allows := s.book.expected(now)
	for _, z := range snoozes {
		out.Snoozes = append(out.Snoozes, Allow{Entity: z.Entity, Since: z.Since, Until: z.Until, By: z.By, Why: z.Why, From: "snooze"})
	}
	out.Allows = append(out.Allows, allows...)
	if file, err := s.system.Allowed(ctx); err == nil {
		out.Allows = append(out.Allows, file...)
	}
	for _, list := range [][]Allow{out.Snoozes, out.Allows} {
		slices.SortFunc(list, func(a, b Allow) int {
			return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Entity.Key(), b.Entity.Key()))
		})
		for i := range list[:min(len(list), 200)] { // each is a question
			if n, err := s.history.Suppressed(ctx, list[i].Entity, list[i].Detector, list[i].Since, now); err == nil {
				list[i].Hidden = &n
			}
		}
	}
	return out, nil
}

// PoliciesIn asks for policies.
type PoliciesIn struct {
	Since time.Time `query:"since" doc:"Count decisions from then on; 30 days where nothing is said."`
}

// Policies lists the policies in force with how often each decided something and how often
// people agreed.
func (s *Service) Policies(ctx context.Context, p Principal, in PoliciesIn) (Page[Policy], error) {
	out := Page[Policy]{Items: []Policy{}}
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	all, err := s.system.Policies(ctx)
	if err != nil {
		return out, err
	}
	if in.Since.IsZero() {
		in.Since = s.now().Add(-30 * 24 * time.Hour)
	}
	counts, err := s.history.Decided(ctx, in.Since)
	if err != nil {
		s.log.Debug("how often policies decided is not known", "error", err)
	}
	judged := s.judged()
	for i := range all {
		x := &all[i]
		for _, c := range counts {
			switch {
			case c.Policy != x.Name:
			case c.Mode == schemas.ModeShadow:
				x.Shadow += c.N
			case c.Mode == schemas.ModeLive:
				x.Decisions += c.N
				if c.Braked {
					x.Braked += c.N
				}
			}
		}
		j := judged[x.Name]
		x.Confirmed, x.FalseAlarm, x.Expected = j[schemas.CaseCompromised], j[schemas.CaseFalseAlarm], j[schemas.CaseExpected]
		if n := x.Confirmed + x.FalseAlarm; n > 0 {
			share := float64(x.Confirmed) / float64(n)
			x.Precision = &share
		}
	}
	out.Items, out.Total = append(out.Items, all...), len(all)
	return out, nil
}

// judged counts verdicts of cases by policy.
func (s *Service) judged() map[string]map[schemas.CaseVerdict]int {
	out := map[string]map[schemas.CaseVerdict]int{}
	s.book.lines(func(l *CaseLine) bool {
		if l.Verdict == schemas.CaseUndetermined {
			return false
		}
		seen := map[string]bool{}
		for _, x := range l.Policies {
			name, _, _ := strings.Cut(x, "@")
			if seen[name] {
				continue
			}
			seen[name] = true
			if out[name] == nil {
				out[name] = map[schemas.CaseVerdict]int{}
			}
			out[name][l.Verdict]++
		}
		return false
	})
	return out
}

// Brake tells how the brake on automatic stops stands.
func (s *Service) Brake(ctx context.Context, p Principal) (Brake, error) {
	if err := p.need(RightRead); err != nil {
		return Brake{}, err
	}
	return s.system.Brake(ctx)
}

// About tells what the process says of itself.
func (s *Service) About(ctx context.Context, p Principal) (About, error) {
	if err := p.need(RightRead); err != nil {
		return About{}, err
	}
	return s.system.About(ctx)
}

// Undelivered lists what receivers have yet to confirm, the oldest first.
func (s *Service) Undelivered(ctx context.Context, p Principal) (Page[Receipt], error) {
	out := Page[Receipt]{Items: []Receipt{}}
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	if s.receivers == nil {
		return out, nil
	}
	all, err := s.receivers.Undelivered(ctx)
	out.Items, out.Total = append(out.Items, all...), len(all)
	return out, err
}

// RetryIn says whom receivers are told of again.
type RetryIn struct {
	Entity string `json:"entity,omitempty"` // empty: everything that is not confirmed, but for what is held
	Why    string `json:"why"`
}

// Retry has receivers told again now, also what was held or refused where one entity is
// named. It returns how many entities that are.
func (s *Service) Retry(ctx context.Context, p Principal, in RetryIn) (int, error) {
	var only schemas.Entity
	var err error
	if in.Entity != "" {
		if only, err = EntityOf(in.Entity); err != nil {
			return 0, err
		}
	}
	if err := p.need(RightRetry); err != nil {
		return 0, s.deny(ctx, p, "retry", only, in.Why, err)
	}
	if in.Why == "" || len(in.Why) > maxWhy {
		return 0, invalid("why", "why is missing or longer than %d bytes", maxWhy)
	}
	if s.receivers == nil {
		return 0, nil
	}
	all, err := s.receivers.Undelivered(ctx)
	if err != nil {
		return 0, err
	}
	asked := map[schemas.Entity]bool{}
	for _, r := range all {
		if asked[r.Entity] || in.Entity == "" && r.State == "held" || in.Entity != "" && r.Entity != only {
			continue
		}
		asked[r.Entity] = true
		if err := s.receivers.Retry(ctx, r.Entity, p, in.Why); err != nil {
			return len(asked), away(err)
		}
	}
	if len(asked) == 0 && in.Entity != "" {
		return 0, notFound("no receiver has anything of %s to confirm", only.Key())
	}
	return len(asked), nil
}

// QueryIn is one SELECT.
type QueryIn struct {
	SQL   string `json:"sql"`
	Limit int    `json:"limit,omitzero"` // rows; 1,000 where nothing is said, at most 10,000
}

// Query asks the audit store by SQL, as a user who can only read, within its limits.
func (s *Service) Query(ctx context.Context, p Principal, in QueryIn) (Table, error) {
	if err := p.need(RightQuery); err != nil {
		return Table{}, s.deny(ctx, p, "query", schemas.Entity{}, clip(in.SQL, maxWhy), err)
	}
	if in.SQL == "" || len(in.SQL) > 64<<10 {
		return Table{}, invalid("sql", "sql is empty or longer than 64 KiB")
	}
	if err := s.record(ctx, p, schemas.Operator{Act: "query", Why: clip(in.SQL, maxWhy)}); err != nil {
		return Table{}, err
	}
	return s.history.Query(ctx, in.SQL, limitOf(in.Limit, 1000, 10_000))
}
