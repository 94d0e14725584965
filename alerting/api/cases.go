package api

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"holdfast/schemas"
)

// CaseLine is a case as a list shows it.
type CaseLine struct {
	ID       string              `json:"id"`
	Entity   schemas.Entity      `json:"entity"`
	Account  string              `json:"account,omitempty"`
	Stage    schemas.Stage       `json:"stage"`
	Due      time.Time           `json:"due,omitzero"`
	Verdict  schemas.CaseVerdict `json:"verdict"`
	Version  int                 `json:"version"`
	Opened   time.Time           `json:"opened"`
	Changed  time.Time           `json:"changed"`
	Owner    string              `json:"owner,omitempty"`
	Status   string              `json:"status,omitempty"` // the entity's
	Text     string              `json:"text"`             // why, in one sentence
	Policies []string            `json:"policies,omitempty"`
	// Open and Steps count the steps of the way back.
	OpenSteps int    `json:"open_steps,omitzero"`
	Steps     int    `json:"steps,omitzero"`
	Relapses  int    `json:"relapses,omitzero"`
	Protected bool   `json:"protected,omitzero"`
	Awaits    string `json:"awaits,omitempty"` // the act that a second person has yet to approve
	Incident  string `json:"incident,omitempty"`
	Merged    string `json:"merged,omitempty"`
}

// lineOf is a case's line.
func lineOf(c *schemas.Case) CaseLine {
	l := CaseLine{
		ID: c.ID, Entity: c.Entity, Account: c.Account, Stage: c.Stage, Due: c.Due, Verdict: cmp.Or(c.Verdict, schemas.CaseUndetermined), Version: c.Version,
		Opened: c.Opened, Changed: c.Time, Owner: c.Owner, Text: Sentence(c), Policies: c.Policies, Steps: len(c.Steps), Relapses: c.Relapses,
		Protected: c.Protected, Incident: c.Incident, Merged: c.Merged,
	}
	for i := range c.Steps {
		if !c.Steps[i].Done() {
			l.OpenSteps++
		}
	}
	if c.Awaits != nil {
		l.Awaits = c.Awaits.Request.Act
	}
	return l
}

// Sentence says why there is a case, in one sentence: what weighs most of its evidence.
func Sentence(c *schemas.Case) string {
	best := -1
	for i, s := range c.Seen {
		if best < 0 || s.Share > c.Seen[best].Share {
			best = i
		}
	}
	switch {
	case best >= 0:
		return c.Seen[best].Text
	case c.Why != "":
		return c.Why
	case len(c.Policies) > 0:
		return "decided by " + strings.Join(c.Policies, ", ")
	}
	return ""
}

// CasesIn asks for cases. Without a stage those that are not closed are meant.
type CasesIn struct {
	Stage   []string  `query:"stage" doc:"Only these stages, or all. Without it those that are not closed."`
	Verdict []string  `query:"verdict" doc:"Only these verdicts."`
	Owner   string    `query:"owner" doc:"Whose: a person, me, or none."`
	Kind    string    `query:"kind" doc:"Only of this kind of entity: account, ip, employee."`
	Policy  string    `query:"policy" doc:"Only those in which this policy has decided."`
	Status  []string  `query:"status" doc:"Only of entities that stand so now."`
	Text    string    `query:"q" doc:"Words that its entity, sentence or id contains."`
	Due     time.Time `query:"due_before" doc:"Only those that are due earlier."`
	Opened  time.Time `query:"opened_after" doc:"Only those that were opened later."`
	Awaits  bool      `query:"awaits" doc:"Only those with an act that a second person has yet to approve."`
	Merged  bool      `query:"merged" doc:"Those too that were merged into another."`
	Sort    string    `query:"sort" enum:"due,opened,changed" doc:"due (first: those due first), opened or changed (newest first)."`
	Cursor  string    `query:"cursor" doc:"Where to go on: next of the page before."`
	Limit   int       `query:"limit" max:"500" doc:"How many at most; 50 where nothing is said."`
}

// question is what a cursor of the list belongs to.
func (in CasesIn) question() string {
	in.Cursor, in.Limit = "", 0
	return "cases" + asText(in)
}

type caseAt struct {
	Time time.Time `json:"t"`
	ID   string    `json:"i"`
}

// Cases lists cases, a page at a time.
func (s *Service) Cases(_ context.Context, p Principal, in CasesIn) (Page[CaseLine], error) {
	var out Page[CaseLine]
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	keep, err := in.filter(p)
	if err != nil {
		return out, err
	}
	var at caseAt
	going, err := s.unseal(in.question(), in.Cursor, &at)
	if err != nil {
		return out, err
	}
	all := s.book.lines(keep)
	key, compare := caseOrder(in.Sort)
	slices.SortFunc(all, func(a, b CaseLine) int {
		return cmp.Or(compare(key(&a), key(&b)), cmp.Compare(a.ID, b.ID))
	})
	out.Total = len(all)
	if going {
		n, _ := slices.BinarySearchFunc(all, at, func(l CaseLine, at caseAt) int {
			if c := cmp.Or(compare(key(&l), at.Time), cmp.Compare(l.ID, at.ID)); c != 0 {
				return c
			}
			return -1 // the first one behind it
		})
		all = all[n:]
	}
	limit := limitOf(in.Limit, 50, 500)
	if len(all) > limit {
		all = all[:limit]
		last := &all[limit-1]
		out.Next = s.seal(in.question(), caseAt{key(last), last.ID})
	}
	out.Items = append([]CaseLine{}, all...)
	return out, nil
}

func limitOf(asked, standard, most int) int {
	if asked <= 0 {
		return standard
	}
	return min(asked, most)
}

// caseOrder is by what a list is ordered: a time, and which of two comes first.
func caseOrder(sort string) (key func(*CaseLine) time.Time, compare func(a, b time.Time) int) {
	newest := func(a, b time.Time) int { return b.Compare(a) }
	switch sort {
	case "opened":
		return func(l *CaseLine) time.Time { return l.Opened }, newest
	case "changed":
		return func(l *CaseLine) time.Time { return l.Changed }, newest
	}
	return func(l *CaseLine) time.Time { return l.Due }, func(a, b time.Time) int {
		if a.IsZero() != b.IsZero() { // what is due some time comes behind what has a date
			if a.IsZero() {
				return 1
			}
			return -1
		}
		return a.Compare(b)
	}
}

var stages = []schemas.Stage{schemas.StageOpen, schemas.StageContained, schemas.StageRecovering, schemas.StageProbation, schemas.StageClosed}

var caseVerdicts = []schemas.CaseVerdict{schemas.CaseUndetermined, schemas.CaseCompromised, schemas.CaseExpected, schemas.CaseFalseAlarm}

func (in CasesIn) filter(p Principal) (func(*CaseLine) bool, error) {
	for _, x := range in.Stage {
		if x != "all" && !slices.Contains(stages, schemas.Stage(x)) {
			return nil, invalid("stage", "stage %q is unknown: use some of %v, or all", x, stages)
		}
	}
	for _, x := range in.Verdict {
		if !slices.Contains(caseVerdicts, schemas.CaseVerdict(x)) {
			return nil, invalid("verdict", "verdict %q is unknown: use some of %v", x, caseVerdicts)
		}
	}
	switch in.Sort {
	case "", "due", "opened", "changed":
	default:
		return nil, invalid("sort", "sort %q is unknown: use due, opened or changed", in.Sort)
	}
	owner, all := in.Owner, slices.Contains(in.Stage, "all")
	if owner == "me" {
		owner = p.Name
	}
	text := strings.ToLower(in.Text)
	return func(l *CaseLine) bool {
		switch {
		case len(in.Stage) == 0 && l.Stage == schemas.StageClosed,
			len(in.Stage) > 0 && !all && !slices.Contains(in.Stage, string(l.Stage)),
			len(in.Verdict) > 0 && !slices.Contains(in.Verdict, string(l.Verdict)),
			len(in.Status) > 0 && !slices.Contains(in.Status, l.Status),
			in.Kind != "" && in.Kind != string(l.Entity.Kind),
			owner == "none" && l.Owner != "", owner != "" && owner != "none" && l.Owner != owner,
			in.Awaits && l.Awaits == "", !in.Merged && l.Merged != "",
			!in.Due.IsZero() && (l.Due.IsZero() || !l.Due.Before(in.Due)),
			!in.Opened.IsZero() && !l.Opened.After(in.Opened):
			return false
		}
		if in.Policy != "" && !slices.ContainsFunc(l.Policies, func(x string) bool { name, _, _ := strings.Cut(x, "@"); return name == in.Policy }) {
			return false
		}
		return text == "" || strings.Contains(strings.ToLower(l.Entity.Key()+"\x00"+l.ID+"\x00"+l.Text), text)
	}, nil
}

// Counts is how many cases there are.
type Counts struct {
	Stages  map[schemas.Stage]int `json:"stages"`
	Overdue int                   `json:"overdue"` // not closed, and due before now
	Mine    int                   `json:"mine"`    // not closed, of who asks
	Free    int                   `json:"free"`    // not closed, nobody's
	Awaits  int                   `json:"awaits"`  // an act waits for a second person
}

// Count counts the cases by stage.
func (s *Service) Count(_ context.Context, p Principal) (Counts, error) {
	out := Counts{Stages: map[schemas.Stage]int{}}
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	now := s.now()
	for _, x := range stages {
		out.Stages[x] = 0
	}
	s.book.lines(func(l *CaseLine) bool {
		if l.Merged != "" {
			return false
		}
		out.Stages[l.Stage]++
		if l.Awaits != "" {
			out.Awaits++
		}
		if l.Stage == schemas.StageClosed {
			return false
		}
		if !l.Due.IsZero() && l.Due.Before(now) {
			out.Overdue++
		}
		switch l.Owner {
		case "":
			out.Free++
		case p.Name:
			out.Mine++
		}
		return false
	})
	return out, nil
}

// CaseView is a case with what belongs to it.
type CaseView struct {
	schemas.Case
	Text   string         `json:"text"` // why, in one sentence
	Status schemas.Status `json:"status"`
	Snooze *Snooze        `json:"snooze,omitempty"`
	// Acts are those that who asks may carry out on the case as it is.
	Acts []ActInfo `json:"acts"`
	// Carried is how far the entity's status is carried out, by receiver.
	Carried []Receipt `json:"carried,omitempty"`
	// Current says that this is its entity's newest case: acts are on it.
	Current bool `json:"current"`
}

// ETag is the case's version.
func (c CaseView) ETag() string { return etagOf(c.ID, c.Version) }

// Case gives one case.
func (s *Service) Case(ctx context.Context, p Principal, id string) (CaseView, error) {
	var out CaseView
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	c, current, err := s.findCase(ctx, id)
	if err != nil {
		return out, err
	}
	out = CaseView{Case: c, Text: Sentence(&c), Current: current}
	out.Status, _ = s.book.Status(c.Entity)
	out.Snooze = s.snoozeOf(c.Entity)
	if current {
		out.Acts = s.actsFor(p, c.Entity, out.Status, &c, out.Snooze)
	}
	if s.receivers != nil {
		out.Carried, _ = s.receivers.Progress(ctx, c.Entity) // what is not known is left out
	}
	return out, nil
}

// findCase looks in the book, then in the audit store.
func (s *Service) findCase(ctx context.Context, id string) (c schemas.Case, current bool, err error) {
	if c, ok := s.book.Case(id); ok {
		return c, true, nil
	}
	c, ok, err := s.history.Case(ctx, id)
	switch {
	case err != nil:
		return c, false, err
	case !ok:
		return c, false, notFound("there is no case %q", id)
	}
	return c, false, nil
}

func (s *Service) snoozeOf(e schemas.Entity) *Snooze {
	s.book.mu.RLock()
	defer s.book.mu.RUnlock()
	z, ok := s.book.snoozes[e.Key()]
	if !ok || !z.Until.IsZero() && !z.Until.After(s.now()) {
		return nil
	}
	return &z
}
