package respond_test

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/decision"
	"holdfast/alerting/policy"
	"holdfast/alerting/respond"
	"holdfast/schemas"
)

var (
	noon  = time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)
	alice = schemas.Entity{Kind: schemas.KindAccount, ID: "alice"}
	staff = schemas.Entity{Kind: schemas.KindEmployee, ID: "emp-1"}
	addr  = schemas.Entity{Kind: schemas.KindIP, ID: "192.0.2.1"}
)

//go:embed testdata/policies.yaml
var testPolicies []byte

//go:embed testdata/mixed.yaml
var mixedPolicies []byte

func parsed(text []byte) respond.Config {
	set, err := policy.Parse("testdata", text)
	if err != nil {
		panic(err)
	}
	cfg := respond.DefaultConfig()
	cfg.Policies = set
	return cfg
}

// testConfig judges by the tests' own policies.
func testConfig() respond.Config { return parsed(testPolicies) }

// tb is what testing.T and rapid.T share.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// inbox is one respond lane with a gate that answers at once where auto is set.
type inbox struct {
	t      tb
	cfg    respond.Config
	fold   *respond.Fold
	offset int64
	auto   bool
	trials []byte // the control value

	saved     map[string][]byte
	outs      []schemas.Output
	proposals []schemas.Proposal
	status    map[string]schemas.Status
}

func newInbox(t tb, cfg respond.Config) *inbox {
	return &inbox{t: t, cfg: cfg, fold: respond.New(cfg), auto: true, saved: map[string][]byte{}, status: map[string]schemas.Status{}}
}

func (b *inbox) apply(in *schemas.Input) {
	b.t.Helper()
	var answers []schemas.Proposal
	// What is lent is spoilt when the record is done: the key, and every other signal.
	if given := new(schemas.Signal); in.Offset%2 == 1 && (in.Kind == schemas.KindSignal || in.Kind == schemas.KindTrial) && json.Unmarshal(in.Value, given) == nil {
		in.Signal = given
		defer lend(given)()
	}
	key := in.Key
	lent := []byte(key)
	in.Key = unsafe.String(unsafe.SliceData(lent), len(lent))
	defer copy(lent, bytes.Repeat([]byte("#"), len(lent)))
	touched, err := b.fold.Apply(in, func(o schemas.Output) {
		b.outs = append(b.outs, o)
		switch o.Kind {
		case schemas.KindProposal:
			answers = append(answers, decode[schemas.Proposal](b.t, o))
		case schemas.KindStatus:
			s := decode[schemas.Status](b.t, o)
			if old, ok := b.status[o.Key]; ok && !s.Newer(old) {
				b.t.Fatalf("status of %s went back: %+v after %+v", o.Key, s, old)
			}
			b.status[o.Key] = s
		}
	})
	if err != nil {
		b.t.Fatalf("apply %s %s: %v", in.Kind, in.ID, err)
	}
	if touched {
		if err := b.fold.Save(key, func(k string, v []byte) { b.saved[k] = v }); err != nil {
			b.t.Fatalf("save %s: %v", key, err)
		}
	}
	b.proposals = append(b.proposals, answers...)
	if b.auto {
		for _, p := range answers {
			b.answer(p, true, false)
		}
	}
}

func (b *inbox) put(kind schemas.Kind, id string, e schemas.Entity, v any) {
	b.t.Helper()
	value, err := json.Marshal(v)
	if err != nil {
		b.t.Fatalf("marshal: %v", err)
	}
	b.offset++
	in := &schemas.Input{Topic: schemas.TopicInbox, Offset: b.offset - 1, Arrival: noon.UnixMilli(), Kind: kind, ID: id, Key: e.Key(), Value: value}
	if kind != schemas.KindRequest { // people's requests come without one
		in.Origin = schemas.OriginLive
	}
	b.apply(in)
}

func (b *inbox) signal(s schemas.Signal) { b.t.Helper(); b.put(schemas.KindSignal, s.ID, s.Entity, s) }

func (b *inbox) answer(p schemas.Proposal, ok, page bool) {
	b.t.Helper()
	a := schemas.Answer{ID: schemas.DeriveID("ans", p.ID), Time: p.Time, Entity: p.Entity, Decision: p.Decision, Go: ok, Page: page, Reason: "too many"}
	b.put(schemas.KindAnswer, a.ID, p.Entity, a)
}

func (b *inbox) request(act string, e schemas.Entity, at time.Time, change ...func(*schemas.Request)) schemas.Operator {
	b.t.Helper()
	r := schemas.Request{ID: fmt.Sprintf("req-%d", b.offset), Time: at, Entity: e, Act: act, Actor: "ann", Why: "checked"}
	for _, c := range change {
		c(&r)
	}
	before := len(b.outs)
	b.put(schemas.KindRequest, r.ID, e, r)
	for _, o := range b.outs[before:] {
		if o.Kind == schemas.KindOperator {
			return decode[schemas.Operator](b.t, o)
		}
	}
	b.t.Fatalf("request %s gave no operator record", act)
	return schemas.Operator{}
}

// restart restores a new fold from what was saved.
func (b *inbox) restart() {
	b.t.Helper()
	b.fold = respond.New(b.cfg)
	for k, v := range b.saved {
		if err := b.fold.Restore(k, v); err != nil {
			b.t.Fatalf("restore %s: %v", k, err)
		}
	}
	b.try(b.trials)
}

// try tells the fold which trials there are.
func (b *inbox) try(control []byte) {
	b.t.Helper()
	if b.trials = control; control == nil {
		return
	}
	if err := b.fold.Control(schemas.ControlTrial, control); err != nil {
		b.t.Fatalf("control: %v", err)
	}
}

// onTrial sends a signal as numbers on trial raise it.
func (b *inbox) onTrial(s schemas.Signal, trial string) {
	b.t.Helper()
	s.ID, s.Mode, s.Trial = schemas.OfTrial(s.ID, trial), schemas.ModeShadow, trial
	b.put(schemas.KindTrial, s.ID, s.Entity, s)
}

func (b *inbox) decisions() []*decision.Record {
	b.t.Helper()
	var out []*decision.Record
	for _, o := range b.outs {
		if o.Kind == schemas.KindDecision {
			r, err := decision.Decode(o.Value)
			if err != nil {
				b.t.Fatalf("%v", err)
			}
			out = append(out, r)
		}
	}
	return out
}

// verdicts are the decisions as "policy proposed→verdict mode".
func (b *inbox) verdicts() []string {
	b.t.Helper()
	var out []string
	for _, r := range b.decisions() {
		s := fmt.Sprintf("%s %s", r.Policy, r.Proposed)
		if r.Verdict != r.Proposed {
			s += "→" + string(r.Verdict)
		}
		if r.Mode != schemas.ModeLive {
			s += " " + string(r.Mode)
		}
		out = append(out, s)
	}
	return out
}

func (b *inbox) ids() []string {
	b.t.Helper()
	var out []string
	for _, r := range b.decisions() {
		out = append(out, r.ID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (b *inbox) of(kind schemas.Kind) []schemas.Output {
	var out []schemas.Output
	for _, o := range b.outs {
		if o.Kind == kind {
			out = append(out, o)
		}
	}
	return out
}

func decode[T any](t tb, o schemas.Output) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(o.Value, &v); err != nil {
		t.Fatalf("decode %s: %v", o.Kind, err)
	}
	return v
}

// sig makes a live signal that arrived at once.
func sig(id string, e schemas.Entity, f schemas.Family, sev schemas.Severity, at time.Time, change ...func(*schemas.Signal)) schemas.Signal {
	s := schemas.Signal{
		ID: id, Time: at, Detector: "d-" + string(f), Version: 1, Family: f, Entity: e, Level: 1, Score: .8, Severity: sev,
		Technique: "T1078", Trigger: "ev-" + id, Origin: schemas.OriginLive, Arrival: at,
		Evidence: schemas.Evidence{Observed: 500, Expected: 10, Threshold: 100, Unit: "recipients", Window: "5m0s", Floor: 50, Text: "evidence of " + id},
	}
	if e.Kind == schemas.KindAccount {
		s.Account = e.ID
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func certain(s *schemas.Signal)  { s.Certain = true }
func imported(s *schemas.Signal) { s.Origin = schemas.OriginImport }
func lateBy(d time.Duration) func(*schemas.Signal) {
	return func(s *schemas.Signal) { s.Arrival = s.Time.Add(d) }
}

func mustPolicies(t *testing.T, text string) *policy.Set {
	t.Helper()
	s, err := policy.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
