package backtest

import (
	"context"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/cmd/internal/traffic"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

// remembered is a past that is held in memory, in the order of arrival.
type remembered struct {
	events    []history.Recorded
	decisions []schemas.Decision
	acts      []schemas.Operator
	asked     []history.Asked
	gaps      []schemas.Gap
}

func (r *remembered) Happened(_ context.Context, from, to time.Time, _ history.Order) iter.Seq2[history.Recorded, error] {
	return func(yield func(history.Recorded, error) bool) {
		for _, e := range r.events {
			if at := time.UnixMilli(e.Event.Time); !at.Before(from) && at.Before(to) && !yield(e, nil) {
				return
			}
		}
	}
}

func (r *remembered) Requests(context.Context, time.Time, time.Time) ([]history.Asked, error) {
	return r.asked, nil
}

func (r *remembered) Decided(context.Context, time.Time, time.Time) ([]schemas.Decision, error) {
	return slices.Clone(r.decisions), nil
}

func (r *remembered) Acts(context.Context, time.Time) ([]schemas.Operator, error) { return r.acts, nil }

func (r *remembered) Gaps(context.Context, time.Time, time.Time) ([]schemas.Gap, error) {
	return r.gaps, nil
}

// life is three weeks with a leaked key in the last hours.
func life(t *testing.T) (past *remembered, cfg Config) {
	t.Helper()
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	const length = 22 * 24 * time.Hour
	attack := start.Add(length - 3*time.Hour)
	past = &remembered{}
	for e := range traffic.Events(traffic.Config{Seed: 9, Accounts: 30, Employees: 3, Start: start, Length: length, Incidents: []traffic.Incident{traffic.Leak(7, attack, time.Hour)}}) {
		var ev schemas.Event
		if err := schemas.Decode(e.JSON, &ev); err != nil {
			t.Fatal(err)
		}
		past.events = append(past.events, history.Recorded{Position: history.Position{Offset: int64(len(past.events))}, Event: &ev, Arrival: e.Time, Origin: schemas.OriginLive})
	}
	return past, Config{From: attack.Add(-time.Hour), To: attack.Add(3 * time.Hour), WarmUp: attack.Add(-time.Hour).Sub(start), AgeLimit: schemas.AgeLimit}
}

func try(t *testing.T, cfg Config, past *remembered) *Result {
	t.Helper()
	res, err := Try(t.Context(), cfg, past)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestWhatWasNotDecidedThen(t *testing.T) {
	past, cfg := life(t)
	first := try(t, cfg, past)
	if len(first.Stops) != 1 || first.Stops[0].Now == nil || first.Stops[0].Then != nil || first.Stops[0].Entity.ID != traffic.AccountID(7) {
		t.Fatalf("stops: %+v, want one, now, of the account whose key leaked", first.Stops)
	}
	if first.Summary.Events != int64(len(past.events)) || len(first.Missing) != 0 {
		t.Errorf("%d events of %d; missing: %v", first.Summary.Events, len(past.events), first.Missing)
	}
	if again := try(t, cfg, past); !reflect.DeepEqual(first, again) {
		t.Error("the same past gives another result")
	}
	cfg.Only = []schemas.Entity{{Kind: schemas.KindAccount, ID: "somebody-else"}}
	if res := try(t, cfg, past); len(res.Stops) != 0 || len(res.Policies) != 0 {
		t.Errorf("who was not asked about is told of: %+v", res.Stops)
	}
	cfg.Only = nil
	// A record that was written to the log twice is scored once.
	twice := past.events[len(past.events)-1]
	twice.Offset++
	past.events = append(past.events, twice)
	if again := try(t, cfg, past); !reflect.DeepEqual(first.Stops, again.Stops) {
		t.Error("a double changes the result")
	}
}

// An imported past stops nobody, unless it is asked what it would have done live.
func TestAnImportedPast(t *testing.T) {
	past, cfg := life(t)
	for i := range past.events {
		past.events[i].Origin, past.events[i].Arrival = schemas.OriginImport, cfg.To.Add(time.Duration(i)*time.Millisecond)
	}
	mode := func(res *Result) schemas.Mode {
		if len(res.Stops) != 1 || res.Stops[0].Now == nil {
			t.Fatalf("stops: %+v", res.Stops)
		}
		return res.Stops[0].Now.Mode
	}
	if m := mode(try(t, cfg, past)); m != schemas.ModeHistory {
		t.Errorf("an imported past decides in mode %s", m)
	}
	cfg.AsLive = true
	if m := mode(try(t, cfg, past)); m != schemas.ModeLive {
		t.Errorf("taken as live it decides in mode %s", m)
	}
}

// What people asked for then happens now as well: a snooze keeps the stop away.
func TestRequestsAreCarriedOut(t *testing.T) {
	past, cfg := life(t)
	stopped := try(t, cfg, past).Stops[0]
	step := 99 // of a status that does not stand now
	past.asked = []history.Asked{{Arrival: cfg.From, Request: schemas.Request{ID: "r1", Time: cfg.From, Entity: stopped.Entity, Act: "snooze", Actor: "ada", Why: "a test",
		Until: cfg.To, Step: &step}}}
	if res := try(t, cfg, past); len(res.Stops) != 0 {
		t.Errorf("the snoozed account is stopped: %+v", res.Stops)
	}
}

func TestWhatIsMissing(t *testing.T) {
	past, cfg := life(t)
	first := time.UnixMilli(past.events[0].Event.Time).UTC()
	quietFrom, quietTo := first.Add(5*day), first.Add(7*day)
	past.events = slices.DeleteFunc(past.events, func(r history.Recorded) bool {
		at := time.UnixMilli(r.Event.Time)
		return !at.Before(quietFrom) && at.Before(quietTo)
	})
	past.gaps = []schemas.Gap{{Time: first, Topic: schemas.TopicEvents, Partition: 3, From: 7, To: 9, Reason: "lost"}}
	cfg.WarmUp += 10 * day
	want := []string{"the first event is of 2026-03-02", "no event from 2026-03-07 on for 2 days", "a gap on events, partition 3, offsets 7 to 9"}
	got := try(t, cfg, past).Missing
	if len(got) != len(want) {
		t.Fatalf("missing: %q, want %d sentences", got, len(want))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("missing %q, want it to begin with %q", got[i], want[i])
		}
	}
	past.events, cfg.WarmUp = nil, 0
	if got := try(t, cfg, past).Missing; len(got) != 1 || !strings.Contains(got[0], "holds no event") {
		t.Errorf("of an empty store: %q", got)
	}
}

var (
	noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	ann  = schemas.Entity{Kind: schemas.KindAccount, ID: "ann"}
	bob  = schemas.Entity{Kind: schemas.KindAccount, ID: "bob"}
	cleo = schemas.Entity{Kind: schemas.KindAccount, ID: "cleo"}
	dan  = schemas.Entity{Kind: schemas.KindAccount, ID: "dan"}
)

func decided(e schemas.Entity, hours int, policy string, v schemas.Verdict) schemas.Decision {
	at := noon.Add(time.Duration(hours) * time.Hour)
	return schemas.Decision{ID: policy + at.Format(time.RFC3339) + e.ID + string(v), Time: at, Entity: e, Account: e.ID, Verdict: v, Proposed: v, Policy: policy, Mode: schemas.ModeLive}
}

func act(e schemas.Entity, hours int, word string) schemas.Operator {
	return schemas.Operator{ID: word + e.ID, Time: noon.Add(time.Duration(hours) * time.Hour), Entity: e, Act: word, Actor: "ada", Why: "looked"}
}

func TestAccuracy(t *testing.T) {
	const stop, look = schemas.VerdictSuspend, schemas.VerdictReview
	then := []schemas.Decision{
		decided(ann, 0, "p", stop), decided(bob, 0, "p", stop), decided(cleo, 0, "q", look), decided(dan, 0, "operator", stop),
		decided(bob, 300, "p", look), // another case of bob's, that nobody judged
	}
	now := []schemas.Decision{
		decided(ann, 1, "p", stop), decided(cleo, 2, "q", stop), decided(dan, 200, "p", stop),
	}
	refused := act(ann, 4, "dismiss")
	refused.Refused = "it is suspended: release it instead"
	acts := []schemas.Operator{
		act(ann, 3, "confirm"), refused, act(ann, 5, "release"), // right, and released when it was fixed
		act(bob, 3, "release"),  // nobody says whether it was right
		act(cleo, 3, "dismiss"), // reviewed then, stopped now: falsely
		act(dan, 3, "confirm"),  // stopped by hand: no policy saw it in time
		act(bob, 290, "confirm"),
	}
	res := compare(then, now, acts)
	s := res.Summary
	if want := (Accuracy{Right: 1, Confirmed: 2, Dismissed: 1}); s.Then.Accuracy != want {
		t.Errorf("then %+v, want %+v", s.Then.Accuracy, want)
	}
	if want := (Accuracy{Right: 1, False: 1, Confirmed: 2, Dismissed: 1}); s.Now.Accuracy != want {
		t.Errorf("now %+v, want %+v", s.Now.Accuracy, want)
	}
	if p, ok := s.Now.Accuracy.Precision(); !ok || p != 0.5 {
		t.Errorf("precision %v %v", p, ok)
	}
	if r, ok := s.Now.Accuracy.Recall(); !ok || r != 0.5 {
		t.Errorf("recall %v %v", r, ok)
	}
	if _, ok := (Accuracy{}).Precision(); ok {
		t.Error("without a judgement there is a precision")
	}
	if s.Both != 1 || s.OnlyThen != 1 || s.OnlyNow != 2 || s.Then.Unjudged != 1 || s.Now.Unjudged != 1 {
		t.Errorf("stops: %+v", s)
	}
	var words []string
	for _, c := range res.Cases {
		words = append(words, c.Entity.ID+" "+c.Word)
	}
	if want := []string{"ann confirmed", "bob released", "cleo dismissed", "dan confirmed"}; !slices.Equal(words, want) {
		t.Errorf("cases %v, want %v", words, want)
	}
}

func TestBrakedAndShadow(t *testing.T) {
	braked := decided(ann, 0, "p", schemas.VerdictThrottle)
	braked.Braked, braked.Proposed = true, schemas.VerdictSuspend
	shadow := decided(bob, 0, "trial", schemas.VerdictSuspend)
	shadow.Mode = schemas.ModeShadow
	res := compare(nil, []schemas.Decision{braked, shadow}, nil)
	if len(res.Stops) != 1 || !res.Stops[0].Now.Braked || res.Stops[0].Entity != ann {
		t.Errorf("stops: %+v, want the braked one and none in shadow", res.Stops)
	}
	if len(res.Policies) != 2 || res.Policies[1].Mode != schemas.ModeShadow || res.Policies[1].OnlyNow != 1 {
		t.Errorf("policies: %+v, want the one in shadow as well", res.Policies)
	}
}

// Each stop is told of once, whatever is compared; stops that are told as the same
// lie within 48 h; and the comparison of something with itself finds no difference.
func TestCompareCountsEachStopOnce(t *testing.T) {
	draw := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) schemas.Decision {
		return decided(rapid.SampledFrom([]schemas.Entity{ann, bob}).Draw(t, "who"), rapid.IntRange(0, 400).Draw(t, "hour"), rapid.SampledFrom([]string{"p", "q"}).Draw(t, "policy"), schemas.VerdictSuspend)
	}), 0, 20)
	rapid.Check(t, func(t *rapid.T) {
		then, now := draw.Draw(t, "then"), draw.Draw(t, "now")
		res := compare(then, now, nil)
		s := res.Summary
		if s.Then.Stops != s.Both+s.OnlyThen || s.Now.Stops != s.Both+s.OnlyNow || len(res.Stops) != s.Both+s.OnlyThen+s.OnlyNow {
			t.Fatalf("the numbers do not agree: %+v", s)
		}
		ids := map[string]int{}
		for _, x := range res.Stops {
			if x.Then != nil && x.Now != nil && x.Then.Time.Sub(x.Now.Time).Abs() > near {
				t.Fatalf("told as one: %v and %v", x.Then.Time, x.Now.Time)
			}
			for i, side := range []*Stopped{x.Then, x.Now} {
				if side != nil {
					for _, id := range side.Decisions {
						ids[string(rune('0'+i))+id]++
					}
				}
			}
		}
		total := 0
		for _, n := range ids {
			total += n
		}
		if total != len(then)+len(now) {
			t.Fatalf("%d decisions in stops of %d", total, len(then)+len(now))
		}
		self := compare(then, then, nil)
		if self.Summary.OnlyThen+self.Summary.OnlyNow != 0 || slices.ContainsFunc(self.Policies, func(e Effect) bool { return e.OnlyThen+e.OnlyNow != 0 }) {
			t.Fatalf("it differs from itself: %+v", self.Summary)
		}
	})
}
