package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"holdfast/schemas"
)

// BulkIn asks for one act on many entities.
type BulkIn struct {
	ActIn
	// Entities are named one by one, at most 1,000.
	Entities []string `json:"entities"`
}

// Bulk is an act on many entities. A grave one is carried out once a second person has
// approved it.
type Bulk struct {
	Rev      int           `json:"rev"`
	ID       string        `json:"id"`
	Act      string        `json:"act"`
	In       ActIn         `json:"in"`
	Who      string        `json:"who"`
	From     string        `json:"from,omitempty"`
	Created  time.Time     `json:"created"`
	Until    time.Time     `json:"until"` // approval is too late then
	State    string        `json:"state"` // waiting, running, done, rejected
	Second   string        `json:"second,omitempty"`
	Answer   string        `json:"answer,omitempty"` // why the second person did so
	Reached  []BulkReached `json:"reached"`
	Finished time.Time     `json:"finished,omitzero"`
}

// The states of a bulk act.
const (
	BulkPreview  = "preview"
	BulkWaiting  = "waiting"
	BulkRunning  = "running"
	BulkDone     = "done"
	BulkRejected = "rejected"
	BulkLate     = "too late"
)

// BulkReached is one entity of it.
type BulkReached struct {
	Entity    schemas.Entity `json:"entity"`
	Case      string         `json:"case,omitempty"`
	Before    string         `json:"before"`
	Usual     int64          `json:"usual,omitzero"` // recipients a day
	Protected bool           `json:"protected,omitzero"`
	Refused   string         `json:"refused,omitempty"` // why it will not be, or was not done
	Done      bool           `json:"done,omitzero"`
	Awaits    bool           `json:"awaits,omitzero"`
	After     string         `json:"after,omitempty"`
}

// BulkView is a bulk act as people see it.
type BulkView struct {
	Bulk
	Does      string `json:"does"`
	TwoPeople bool   `json:"two_people"`
	Fine      int    `json:"fine"`    // entities that it will reach
	Refused   int    `json:"refused"` // entities that it will not
	Protected int    `json:"protected"`
	Usual     int64  `json:"usual"` // recipients a day of all of them
	DoneCount int    `json:"done"`
	// MayApprove says that who asks can be the second person.
	MayApprove bool `json:"may_approve"`
}

// status is that of HTTP.
func (v BulkView) status() int {
	if v.State == BulkWaiting || v.State == BulkRunning {
		return 202
	}
	return 200
}

func (s *Service) bulkView(p Principal, b Bulk) BulkView {
	v := BulkView{Bulk: b}
	v.In.Key = ""
	if a, err := actOf(b.Act); err == nil {
		v.Does, v.TwoPeople = a.info(schemas.Entity{Kind: "every", ID: "one"}, nil).Does, a.Grave
	}
	for _, r := range b.Reached {
		if r.Refused != "" {
			v.Refused++
		} else {
			v.Fine++
			v.Usual += r.Usual
		}
		if r.Protected {
			v.Protected++
		}
		if r.Done {
			v.DoneCount++
		}
	}
	if b.State == BulkWaiting && !s.now().Before(b.Until) {
		v.State = BulkLate
	}
	v.MayApprove = v.State == BulkWaiting && p.Name != b.Who && p.May(RightApprove)
	return v
}

// Bulk asks for an act on many entities, or says whom it would reach (DryRun). A grave act
// waits for a second person; others are carried out.
func (s *Service) Bulk(ctx context.Context, p Principal, in BulkIn) (BulkView, error) {
	a, err := actOf(in.Act)
	if err != nil {
		return BulkView{}, err
	}
	for _, right := range []Right{RightBulk, a.right()} {
		if err := p.need(right); err != nil {
			return BulkView{}, s.deny(ctx, p, "bulk "+a.Name, schemas.Entity{}, in.Why, err)
		}
	}
	if len(in.Entities) == 0 || len(in.Entities) > s.cfg.BulkMax {
		return BulkView{}, invalid("entities", "%d entities are named: name 1 to %d", len(in.Entities), s.cfg.BulkMax)
	}
	if in.Why == "" {
		return BulkView{}, invalid("why", "why is missing: an act on many entities needs a reason")
	}
	b := Bulk{ID: "bulk_" + ulid.Make().String(), Act: a.Name, In: in.ActIn, Who: p.Name, From: p.From, Created: s.now().UTC().Truncate(time.Second), State: BulkPreview}
	if in.Key != "" {
		b.ID = schemas.DeriveID("bulk", p.Name, in.Key)
		if before, ok := get(s.people, s.people.bulks, b.ID); ok {
			return s.bulkView(p, before), nil
		}
	}
	b.Until = b.Created.Add(s.cfg.ApproveFor)
	seen := map[schemas.Entity]bool{}
	for _, name := range in.Entities {
		e, err := EntityOf(name)
		if err != nil {
			return BulkView{}, err
		}
		if seen[e] {
			continue
		}
		seen[e] = true
		r := BulkReached{Entity: e}
		st, _ := s.book.Status(e)
		r.Before = st.Status
		c, has := s.book.CaseOf(e)
		var at *schemas.Case
		if has {
			r.Case, r.Usual, r.Protected, at = c.ID, c.Usual, c.Protected, &c
		}
		fields := in.ActIn
		if err := s.check(a, e, has, &fields); err != nil {
			if x := AsProblem(err); x.Code == CodeInvalid {
				return BulkView{}, err // of the request, and so of every entity
			}
			r.Refused = err.Error()
		} else if a.fits != nil && !a.fits(st, at, s.snoozeOf(e)) {
			r.Refused = "it is " + st.Status + " already"
		}
		b.Reached = append(b.Reached, r)
	}
	if in.DryRun {
		return s.bulkView(p, b), nil
	}
	if b.State = BulkRunning; a.Grave && len(b.Reached) > 1 {
		b.State = BulkWaiting
	}
	err = s.record(ctx, p, schemas.Operator{Act: "bulk " + a.Name, Why: in.Why, Item: b.ID, Text: fmt.Sprintf("%d entities", len(b.Reached)), Awaits: b.State == BulkWaiting})
	if err != nil {
		return BulkView{}, err
	}
	s.people.write.Lock()
	err = s.people.put(ctx, keyBulk+b.ID, &b)
	s.people.write.Unlock()
	if err != nil {
		return BulkView{}, err
	}
	if b.State == BulkRunning {
		s.startBulk(b.ID)
	}
	return s.bulkView(p, b), nil
}

// Bulks lists acts on many entities, the newest first.
func (s *Service) Bulks(_ context.Context, p Principal) (Page[BulkView], error) {
	out := Page[BulkView]{Items: []BulkView{}}
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	s.people.mu.RLock()
	var all []Bulk
	for _, b := range s.people.bulks {
		all = append(all, *b)
	}
	s.people.mu.RUnlock()
	slices.SortFunc(all, func(a, b Bulk) int { return b.Created.Compare(a.Created) })
	for _, b := range all[:min(len(all), 200)] {
		v := s.bulkView(p, b)
		v.Reached = nil
		out.Items = append(out.Items, v)
	}
	out.Total = len(all)
	return out, nil
}

// BulkByID gives one act on many entities.
func (s *Service) BulkByID(_ context.Context, p Principal, id string) (BulkView, error) {
	if err := p.need(RightRead); err != nil {
		return BulkView{}, err
	}
	b, ok := get(s.people, s.people.bulks, id)
	if !ok {
		return BulkView{}, notFound("there is no bulk act %q", clip(id, 80))
	}
	return s.bulkView(p, b), nil
}

// Approve is the second person's answer to an act on many entities.
func (s *Service) Approve(ctx context.Context, p Principal, id string, yes bool, why string) (BulkView, error) {
	word := map[bool]string{true: "approve", false: "reject"}[yes]
	b, ok := get(s.people, s.people.bulks, id)
	if p.May(RightRead) && !ok {
		return BulkView{}, notFound("there is no bulk act %q", clip(id, 80))
	}
	refuse := func(err error) (BulkView, error) {
		return BulkView{}, s.deny(ctx, p, word+" bulk "+b.Act, schemas.Entity{}, why, err)
	}
	if err := p.need(RightApprove); err != nil {
		return refuse(err)
	}
	if a, err := actOf(b.Act); err != nil || p.need(a.right()) != nil {
		return refuse(forbidden("who approves an act must have the right to it"))
	}
	if yes && b.Who == p.Name {
		return refuse(forbidden("who asked for an act cannot be its second person"))
	}
	if why == "" || len(why) > maxWhy {
		return BulkView{}, invalid("why", "why is missing or longer than %d bytes", maxWhy)
	}
	s.people.write.Lock()
	b, ok = get(s.people, s.people.bulks, id)
	if v := s.bulkView(p, b); !ok || v.State != BulkWaiting {
		s.people.write.Unlock()
		return BulkView{}, conflict("the bulk act is " + v.State + ": it waits for nobody")
	}
	err := s.record(ctx, p, schemas.Operator{Act: word + " bulk " + b.Act, Why: why, Item: b.ID, Second: p.Name, Before: b.State, After: map[bool]string{true: BulkRunning, false: BulkRejected}[yes]})
	if err == nil {
		b.Rev, b.Second, b.Answer = b.Rev+1, p.Name, why
		if b.State = BulkRunning; !yes {
			b.State = BulkRejected
		}
		err = s.people.put(ctx, keyBulk+b.ID, &b)
	}
	s.people.write.Unlock()
	if err != nil {
		return BulkView{}, err
	}
	if yes {
		s.startBulk(b.ID)
	}
	return s.bulkView(p, b), nil
}

// resumeBulks goes on with what was approved before a restart, and tidies.
func (s *Service) resumeBulks(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.book.Ready():
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		s.people.mu.RLock()
		var ids []string
		for id, b := range s.people.bulks {
			if b.State == BulkRunning {
				ids = append(ids, id)
			}
		}
		s.people.mu.RUnlock()
		for _, id := range ids {
			s.startBulk(id)
		}
		s.people.tidy(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// bulkFor bounds one run of a bulk act; what is left goes on with the next.
const bulkFor = 10 * time.Minute

// startBulk carries a bulk act out, unless this process does so already. The ids of its
// requests follow from it and the entity, so that a second process which does the same does
// nothing twice.
func (s *Service) startBulk(id string) {
	if _, there := s.bulks.LoadOrStore(id, true); there {
		return
	}
	go func() {
		defer s.bulks.Delete(id)
		ctx, cancel := context.WithTimeout(context.Background(), bulkFor)
		defer cancel()
		if err := s.runBulk(ctx, id); err != nil {
			s.log.Warn("a bulk act is not finished: it goes on in a minute", "bulk", id, "error", err)
		}
	}()
}

func (s *Service) runBulk(ctx context.Context, id string) error {
	b, ok := get(s.people, s.people.bulks, id)
	if !ok {
		return nil
	}
	a, err := actOf(b.Act)
	if err != nil {
		return err
	}
	who := Principal{Name: b.Who, From: b.From}
	save := func() error {
		s.people.write.Lock()
		defer s.people.write.Unlock()
		b.Rev++
		return s.people.put(ctx, keyBulk+b.ID, &b)
	}
	b.Reached = slices.Clone(b.Reached)
	for i := range b.Reached {
		r := &b.Reached[i]
		if r.Done || r.Awaits || r.Refused != "" {
			continue
		}
		in := b.In
		in.Version, in.Episode, in.Step, in.Key = nil, nil, nil, ""
		in.id, in.second = schemas.DeriveID("req", b.ID, r.Entity.Key()), b.Second
		op, err := s.once(ctx, who, s.requestOf(who, a, r.Entity, in))
		if err != nil {
			_ = save()
			return err
		}
		r.Refused, r.After, r.Awaits = op.Refused, op.After, op.Awaits
		r.Done = op.Refused == "" && !op.Awaits
		if i%50 == 49 {
			if err := save(); err != nil {
				return err
			}
		}
	}
	b.State, b.Finished = BulkDone, s.now().UTC().Truncate(time.Second)
	return save()
}
