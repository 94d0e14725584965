// Package replay runs detection and policies over files, with no broker and no
// database: the very folds that lanes run, joined by queues instead of topics. It
// promises the same output for the same input, byte for byte. Every line of a file is
// taken as live and as arriving when it happened, in the order of the files; what was
// recorded is taken as it was written down.
package replay

import (
	"context"
	"errors"
	"io"
	"maps"
	"math/bits"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/gate"
	"holdfast/alerting/policy"
	"holdfast/alerting/respond"
	"holdfast/detectors"
	"holdfast/schemas"
)

// Config says what judges.
type Config struct {
	Policies   *policy.Set // nil: the built-in ones
	Parameters []byte      // detectors' parameters as JSON; nil: the defaults
	Trial      []byte      // schemas.Trial as JSON, that runs beside them; nil: none
	Brake      bool        // whether the gate may brake
	HashSecret []byte      // 32 bytes; nil: a fixed one, so that runs can be compared
	AgeLimit   time.Duration
	// Untimed says that lines have no arrival of their own: one whose time lies days ahead
	// is believed only once others follow it.
	Untimed bool
	// Control are values of the control topic, policies, parameters and trials with
	// their history; what they hold stands above Policies, Parameters and Trial.
	Control map[string][]byte
	// Networks tells what is known of an address, as intake would have noted it; nil: nothing.
	Networks func(netip.Addr) schemas.Network
}

// Deps is where the findings go; each may be nil. They are called one at a time, from
// goroutines of Run's.
type Deps struct {
	Decisions func(value []byte) error
	Signals   func(value []byte) error
	Cases     func(value []byte) error // each time that one changes
	Refused   func(line int64, err *schemas.Error)
	// Stuck names a line with which Run has been busy for StuckAfter, once. It is called
	// from a goroutine of its own, beside the others.
	Stuck func(line int64, busy time.Duration)
}

// Summary says what was done. After an error its first three count whole blocks.
type Summary struct {
	Lines, Events, Refused, Duplicates, Signals, Decisions int64
	// Late are the events that lay too far behind their entity's newest one to be judged.
	// Ahead are those whose clock was far ahead, and of which the effect was taken back.
	Late, Ahead int64
	Elapsed     time.Duration
}

type fold interface {
	Control(key string, value []byte) error
	Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error)
}

// Replay is one run. It is used from one goroutine, and not after an error.
type Replay struct {
	deps             Deps
	states           folds
	reader           reader
	detection        *detection
	events, facts    stream // addresses'
	inbox, proposals stream
	queue            []queued
	emit             func(schemas.Output)
	in               schemas.Input
	arrival          int64 // of the line being replayed
	latest           int64 // the latest arrival, and what addresses were told of it
	told             int64
	at               int64        // the line's number
	now              atomic.Int64 // the line at hand, 0 for none
	turn             turn         // of a record that came alone
	sum              Summary
	folds            []*detectors.Fold
}

// stream stands for a topic's one partition.
type stream struct {
	fold   fold
	offset int64
	seen   *schemas.Ring // nil where duplicates are known otherwise
}

// New joins the folds.
func New(cfg Config, deps Deps) (*Replay, error) {
	secret := cfg.HashSecret
	if secret == nil {
		secret = []byte("holdfast replay: a fixed secret!")
	}
	engine := detectors.Config{Lanes: 1, HashSecret: secret, Parameters: cfg.Parameters, Uncounted: !cfg.Brake, Untimed: cfg.Untimed}
	all := folds{people: [lanes]*detectors.Fold{detectors.NewFold(engine), detectors.NewFold(engine)}, addresses: detectors.NewFold(engine)}
	all.decide, all.brake = respond.New(respond.Config{Policies: cfg.Policies, AgeLimit: cfg.AgeLimit}), gate.New(gate.Config{BrakeOff: !cfg.Brake})
	people, addresses, decide, brake := [lanes]fold{all.people[0], all.people[1]}, all.addresses, all.decide, all.brake
	r := &Replay{deps: deps, states: all, detection: newDetection(people), folds: []*detectors.Fold{all.people[0], all.people[1], all.addresses}}
	r.events, r.facts = stream{fold: addresses}, stream{fold: addresses}
	r.inbox, r.proposals = stream{fold: decide, seen: newRing()}, stream{fold: brake, seen: newRing()}
	r.reader.seen, r.reader.networks = newRing(), cfg.Networks
	r.emit = func(out schemas.Output) { r.queue = append(r.queue, queued{out: out}) }
	in, err := json.Marshal(schemas.Installation{ID: "replay", Lanes: 1, LogID: "replay", HashSecret: secret})
	if err != nil {
		return nil, err
	}
	control := map[string][]byte{schemas.ControlInstallation: in}
	for _, key := range []string{schemas.ControlPolicies, schemas.ControlParameters, schemas.ControlTrial, schemas.ControlLevel} {
		control[key] = cfg.Control[key]
	}
	if cfg.Trial != nil && control[schemas.ControlTrial] == nil {
		if control[schemas.ControlTrial], err = json.Marshal(schemas.Versioned{Versions: []schemas.Version{{Value: cfg.Trial}}}); err != nil {
			return nil, err
		}
	}
	for _, f := range append(people[:], addresses, decide, brake) {
		for _, key := range slices.Sorted(maps.Keys(control)) {
			if control[key] == nil {
				continue
			}
			if err := f.Control(key, control[key]); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

func newRing() *schemas.Ring { return schemas.NewRing(schemas.DuplicateReach, 0) }

// Run replays one file's lines. It may be called for several files, one after the
// other. Where ctx is over or something fails while in has nothing to read yet, Run
// returns although in is still being read from. Where ctx is over and a line takes no
// end, Run gives the line up after a moment, and says so.
func (r *Replay) Run(ctx context.Context, in io.Reader) (Summary, error) {
	if err := ctx.Err(); err != nil {
		return r.sum, err
	}
	start := time.Now()
	r.reader.begin(in)
	r.detection.begin()
	stop := r.watch()
	defer stop()
	sum, err := newCrew(r).run(ctx)
	sum.Elapsed += time.Since(start)
	if !errors.Is(err, errAbandoned) {
		sum.Late, sum.Ahead = 0, 0
		for _, f := range r.folds {
			s := f.Live().Stats()
			sum.Late, sum.Ahead = sum.Late+s.Late, sum.Ahead+s.Ahead
		}
		r.sum = sum
	}
	return sum, err
}

// concludeBlock concludes a block's lines, and says why there is none after it.
func (r *Replay) concludeBlock(b *block) error {
	r.sum.Lines += int64(len(b.lines))
	r.sum.Events += b.events
	r.sum.Duplicates += b.duplicates
	rest := b.outcome[lanes]
	for _, lane := range b.outcome[:lanes] {
		rest |= lane
	}
	defer r.now.Store(0)
	for ; rest != 0; rest &= rest - 1 {
		l := &b.lines[bits.TrailingZeros64(rest)]
		r.now.Store(l.n)
		if err := r.line(l); err != nil {
			return err
		}
	}
	if n := len(b.lines); n > 0 {
		r.at, r.latest = b.lines[n-1].n, max(r.latest, b.latest)
	}
	if b.last {
		if err := r.toldPeople(r.detection.hearOut()); err != nil {
			return err
		}
	}
	return b.err
}

// line concludes a line of which there is more to say than that it was there.
func (r *Replay) line(l *line) error {
	if l.err != nil {
		r.refuse(l.n, l.err)
		return nil //nolint:nilerr // a refused line costs its neighbours nothing
	}
	r.at, r.latest = l.n, max(r.latest, l.before)
	if err := r.toldPeople(l.told); err != nil {
		return err
	}
	in := newInput()
	l.input(&in)
	return r.conclude(&in, &l.turn)
}

// deliver hands one record to the fold that reads its topic, or out.
func (r *Replay) deliver(o *schemas.Output) error {
	var to *stream
	switch o.Topic {
	case schemas.TopicFacts:
		to = &r.facts
	case schemas.TopicInbox:
		to = &r.inbox
		if o.Kind == schemas.KindSignal || o.Kind == schemas.KindTrial {
			if err := give(r.deps.Signals, o.Value, &r.sum.Signals); err != nil {
				return err
			}
		}
	case schemas.TopicProposals:
		to = &r.proposals
	case schemas.TopicDecisions:
		return give(r.deps.Decisions, o.Value, &r.sum.Decisions)
	case schemas.TopicCases:
		if r.deps.Cases == nil {
			return nil
		}
		return r.deps.Cases(o.Value)
	default:
		return nil
	}
	r.in = inputOf(o, r.arrival)
	if to.seen != nil {
		r.in.Duplicate = to.seen.Seen(to.offset, o.Source, o.ID)
	}
	return r.apply(to)
}

// apply folds r.in in as the stream's next record.
func (r *Replay) apply(s *stream) error {
	if s.fold == r.facts.fold && r.latest > max(r.told, r.in.Arrival) {
		// Addresses age by the latest arrival of all records, theirs or not.
		if _, err := s.fold.Apply(&schemas.Input{Kind: schemas.KindFence, Arrival: r.latest}, r.emit); err != nil {
			return err
		}
		r.told = r.latest
	}
	r.in.Offset = s.offset
	s.offset++
	_, err := s.fold.Apply(&r.in, r.emit)
	return r.used(&r.in, err)
}

func (r *Replay) refuse(line int64, err *schemas.Error) {
	r.sum.Refused++
	if r.deps.Refused != nil {
		r.deps.Refused(line, err)
	}
}

func give(to func([]byte) error, value []byte, n *int64) error {
	*n++
	if to == nil {
		return nil
	}
	return to(value)
}
