package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"holdfast/alerting/gate"
	"holdfast/schemas"
)

// ActIn is what a person wants done. The field names are those of the table of acts.
type ActIn struct {
	Act     string              `json:"act"`
	Why     string              `json:"why,omitempty"`
	Item    string              `json:"item,omitempty"`
	Text    string              `json:"text,omitempty"`
	Until   time.Time           `json:"until,omitzero"`
	Verdict schemas.CaseVerdict `json:"verdict,omitempty"`
	Reason  string              `json:"reason,omitempty"`
	Other   string              `json:"other,omitempty"` // a case's id, or its entity
	// Force acts also on an entity of which nothing is known: its name may be mistyped.
	Force  bool `json:"force,omitzero"`
	DryRun bool `json:"dry_run,omitzero"` // only say what it would do

	Version *int `json:"-"` // of the case that the person saw
	Episode *int `json:"-"` // of the status that the person saw
	Step    *int `json:"-"`
	// Key makes the act be done once, however often it is asked for.
	Key string `json:"-"`
	// second and bulk are set where a bulk act was approved.
	second, id string
}

// ActOut is what came of it.
type ActOut struct {
	// Done says that it took effect. It is false for a dry run, and where Awaits says that
	// it was taken and waits for a second person.
	Done   bool           `json:"done"`
	Awaits bool           `json:"awaits,omitzero"`
	DryRun bool           `json:"dry_run,omitzero"`
	Act    string         `json:"act"`
	Entity schemas.Entity `json:"entity,omitzero"`
	Case   string         `json:"case,omitempty"`
	// Version is the case's afterwards.
	Version int       `json:"version,omitzero"`
	Before  string    `json:"before,omitempty"`
	After   string    `json:"after,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Does    string    `json:"does"`              // what it does, in words
	Inverse string    `json:"inverse,omitempty"` // the act that undoes it
	// TwoPeople says that a second person has to approve it.
	TwoPeople bool `json:"two_people,omitzero"`
	// Operator is the id of its record.
	Operator string `json:"operator,omitempty"`
}

// status is that of HTTP.
func (o ActOut) status() int {
	if o.Awaits {
		return 202
	}
	return 200
}

// ETag is that of the case afterwards.
func (o ActOut) ETag() string {
	if o.Case == "" || o.DryRun {
		return ""
	}
	return etagOf(o.Case, o.Version)
}

// Act carries an act on an entity out, or says what it would do.
func (s *Service) Act(ctx context.Context, p Principal, e schemas.Entity, in ActIn) (ActOut, error) {
	a, err := actOf(in.Act)
	if err != nil {
		return ActOut{}, err
	}
	if a.Name == gate.ActRelease {
		return ActOut{}, invalid("act", "the brake is no entity: use its own request")
	}
	if err := p.need(a.right()); err != nil {
		return ActOut{}, s.deny(ctx, p, a.Name, e, in.Why, err)
	}
	c, known := s.book.CaseOf(e)
	if err := s.check(a, e, known, &in); err != nil {
		return ActOut{}, err
	}
	var at *schemas.Case
	if known {
		at = &c
	}
	info := a.info(e, at)
	st, decided := s.book.Status(e)
	out := ActOut{Act: a.Name, Entity: e, Before: st.Status, Does: info.Does, Inverse: a.Inverse, TwoPeople: info.TwoPeople, DryRun: in.DryRun}
	if known {
		out.Case, out.Version = c.ID, c.Version
	}
	if known && in.Version != nil && *in.Version != c.Version && s.bookIsAhead(&c, *in.Version) {
		p := conflict(fmt.Sprintf("%s: the case is at version %d now, not at %d: look again", changedSince, c.Version, *in.Version))
		p.Version = c.Version
		return out, p
	}
	if a.Name == "suspend" && !in.Force && !decided && !known {
		if err := s.mustKnow(ctx, e); err != nil {
			return out, err
		}
	}
	if a.Name == "block" && !in.Force {
		if what := s.system.Shared(ctx, e); what != "" {
			return out, refused(e.ID + " is " + what + ": whoever is behind it would be blocked too. If a proxy of yours hides its clients, let it hand on their addresses; to block it all the same, use force")
		}
	}
	if in.DryRun {
		if a.fits != nil && !a.fits(st, at, s.snoozeOf(e)) {
			return out, refused("it is " + st.Status + ": this act would be refused")
		}
		return out, nil
	}
	op, err := s.once(ctx, p, s.requestOf(p, a, e, in))
	if err != nil {
		return out, err
	}
	if op.Refused != "" {
		return out, ofLane(op.Refused, out.Version)
	}
	s.book.seen(ctx, e)
	s.book.has(ctx, &op)
	if c, ok := s.book.CaseOf(e); ok {
		out.Case, out.Version = c.ID, c.Version
	}
	out.Done, out.Awaits, out.Before, out.After, out.Operator, out.Until = !op.Awaits, op.Awaits, op.Before, op.After, op.ID, op.Until
	return out, nil
}

// bookIsAhead reports whether the copy is newer than what the person saw: else the lane
// says so.
func (s *Service) bookIsAhead(c *schemas.Case, saw int) bool { return c.Version > saw }

// ActOnCase is Act on a case by its id.
func (s *Service) ActOnCase(ctx context.Context, p Principal, id string, in ActIn) (ActOut, error) {
	c, current, err := s.findCase(ctx, id)
	switch {
	case err != nil:
		if p.need(RightRead) != nil {
			return ActOut{}, p.need(RightRead)
		}
		return ActOut{}, err
	case !current:
		return ActOut{}, refused("the case " + id + " is over, and its entity has a newer one: act on that")
	}
	return s.Act(ctx, p, c.Entity, in)
}

// check holds an act's fields against the table.
func (s *Service) check(a *act, e schemas.Entity, hasCase bool, in *ActIn) error {
	if a.Kinds != nil && !slices.Contains(a.Kinds, e.Kind) {
		if a.Name == "suspend" || a.Name == "block" {
			return refused("addresses are blocked, accounts and employees suspended")
		}
		return refused(fmt.Sprintf("%s is for %v", a.Name, a.Kinds))
	}
	if a.Case && !hasCase {
		return refused(e.Key() + " has no case")
	}
	for name, x := range map[string]struct {
		value string
		most  int
	}{"why": {in.Why, maxWhy}, "item": {in.Item, maxItem}, "text": {in.Text, maxText}, "other": {in.Other, maxItem}, "reason": {in.Reason, 64}, "verdict": {string(in.Verdict), 64}} {
		if len(x.value) > x.most {
			return invalid(name, "%s has %d bytes: write at most %d", name, len(x.value), x.most)
		}
		if slices.Contains(a.Needs, name) && x.value == "" {
			return invalid(name, "%s needs %s%s", a.Name, name, map[bool]string{true: ": " + a.Item}[name == "item" && a.Item != ""])
		}
	}
	if slices.Contains(a.Needs, "until") && !in.Until.After(s.now()) {
		return invalid("until", "%s needs until: a time to come", a.Name)
	}
	if in.Verdict != "" {
		if !slices.Contains(caseVerdicts, in.Verdict) {
			return invalid("verdict", "verdict %q is unknown: use one of %v", in.Verdict, caseVerdicts)
		}
		reasons := schemas.CaseReasons(in.Verdict)
		if in.Reason != "" && reasons != nil && !slices.Contains(reasons, in.Reason) {
			return invalid("reason", "reason %q is unknown for %s: use one of %v", in.Reason, in.Verdict, reasons)
		}
	}
	return nil
}

// mustKnow refuses an act on an entity of which nothing is recorded: its name may be
// mistyped. A store that is away refuses nothing.
func (s *Service) mustKnow(ctx context.Context, e schemas.Entity) error {
	ctx, cancel := context.WithTimeout(ctx, 11*time.Second)
	defer cancel()
	for {
		known, err := s.history.Known(ctx, e)
		if known || err != nil {
			return nil //nolint:nilerr // who cannot look does not refuse
		}
		select { // what has just come in becomes a row within some seconds
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < time.Second {
			return notFound("nothing is recorded about %s, no event and no decision: look whether the name is right, and use force if it is", e.Key())
		}
	}
}

func (s *Service) requestOf(p Principal, a *act, e schemas.Entity, in ActIn) schemas.Request {
	r := schemas.Request{
		ID: in.id, Time: s.now().UTC().Truncate(time.Millisecond), Entity: e, Act: a.Name, Actor: p.Name, Address: p.From,
		Why: cmp.Or(in.Why, a.Label), Item: in.Item, Text: in.Text, Until: in.Until.UTC(), Verdict: in.Verdict, Reason: in.Reason,
		Version: in.Version, Episode: in.Episode, Step: in.Step, Second: in.second,
	}
	if in.Until.IsZero() {
		r.Until = time.Time{}
	}
	if (a.Name == "watch" || a.Name == "unwatch") && r.Item == "" {
		r.Item = p.Name
	}
	if in.Other != "" {
		if c, ok := s.book.Case(in.Other); ok {
			r.Other, r.Item = c.Entity, cmp.Or(r.Item, c.ID)
		} else if other, err := schemas.ParseEntity(in.Other); err == nil {
			r.Other = other
			if c, ok := s.book.CaseOf(other); ok {
				r.Item = cmp.Or(r.Item, c.ID)
			}
		}
	}
	if r.ID == "" && in.Key != "" {
		r.ID = schemas.DeriveID("req", p.Name, in.Key)
	}
	if r.ID == "" {
		r.ID = "req_" + ulid.Make().String()
	}
	return r
}

// askFor bounds the wait for a lane's answer.
const askFor = 20 * time.Second

// once hands a request over, or gives the answer that a request of this id got before.
func (s *Service) once(ctx context.Context, _ Principal, r schemas.Request) (schemas.Operator, error) {
	if op, ok := s.book.act(schemas.DeriveID("opr", r.ID)); ok {
		if op.Act != r.Act || op.Entity != r.Entity {
			return op, refused("this idempotency key was used for another act: choose a new one")
		}
		return op, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	op, err := s.requester.Ask(ctx, r)
	if err != nil {
		s.log.Warn("a person's request got no answer", "act", r.Act, "entity", r.Entity.Key(), "request", r.ID, "error", err)
		if errors.Is(err, context.DeadlineExceeded) {
			return op, problem(504, CodeTimeout, "the request was written, but no answer came in time: ask again with the same Idempotency-Key")
		}
		return op, away(err)
	}
	return op, nil
}

// ReleaseBrake lets policies stop by themselves again.
func (s *Service) ReleaseBrake(ctx context.Context, p Principal, why, key string) (ActOut, error) {
	a, _ := actOf(gate.ActRelease)
	if err := p.need(RightBrake); err != nil {
		return ActOut{}, s.deny(ctx, p, gate.ActRelease, schemas.Entity{}, why, err)
	}
	if why == "" {
		return ActOut{}, invalid("why", "why is missing: say why the brake may be released")
	}
	op, err := s.once(ctx, p, s.requestOf(p, a, schemas.Entity{}, ActIn{Act: a.Name, Why: clip(why, maxWhy), Key: key}))
	if err != nil {
		return ActOut{}, err
	}
	if op.Refused != "" {
		return ActOut{}, refused(op.Refused)
	}
	return ActOut{Done: true, Act: a.Name, Does: a.Does, Before: op.Before, After: op.After, Operator: op.ID}, nil
}
