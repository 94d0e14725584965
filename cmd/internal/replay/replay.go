// Package replay runs detection and policies over files, with no broker and no
// database: the very folds that lanes run, joined by queues instead of topics. It
// promises the same output for the same input, byte for byte. Every line of a file is
// taken as live and as arriving when it happened, in the order of the files; what was
// recorded is taken as it was written down.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
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
	Brake      bool        // whether the gate may brake
	HashSecret []byte      // 32 bytes; nil: a fixed one, so that runs can be compared
	AgeLimit   time.Duration
	// Control are values of the control topic, policies and parameters with their
	// history; what they hold stands above Policies and Parameters.
	Control map[string][]byte
	// Networks tells what is known of an address, as intake would have noted it; nil: nothing.
	Networks func(netip.Addr) schemas.Network
}

// Deps is where the findings go; each may be nil.
type Deps struct {
	Decisions func(value []byte) error
	Signals   func(value []byte) error
	Refused   func(line int64, err *schemas.Error)
}

// Summary says what was done.
type Summary struct {
	Lines, Events, Refused, Duplicates, Signals, Decisions int64
	Elapsed                                                time.Duration
}

type fold interface {
	Control(key string, value []byte) error
	Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error)
}

// Replay is one run. It is used from one goroutine, and not after an error.
type Replay struct {
	deps                  Deps
	events, facts         stream
	inbox, proposals      stream
	detect, respond, gate fold
	reader                reader
	queue                 []schemas.Output
	emit                  func(schemas.Output)
	in                    schemas.Input
	arrival               int64 // of the line being replayed
	at                    int64 // its number
	sum                   Summary
}

// stream stands for a topic's one partition.
type stream struct {
	fold   fold
	offset int64
	seen   *schemas.Ring // nil where doubles are known otherwise
}

// New joins the folds.
func New(cfg Config, deps Deps) (*Replay, error) {
	secret := cfg.HashSecret
	if secret == nil {
		secret = []byte("holdfast replay: a fixed secret!")
	}
	r := &Replay{
		deps:    deps,
		detect:  detectors.New(detectors.Config{Lanes: 1, HashSecret: secret, Parameters: cfg.Parameters}),
		respond: respond.New(respond.Config{Policies: cfg.Policies, AgeLimit: cfg.AgeLimit}),
		gate:    gate.New(gate.Config{BrakeOff: !cfg.Brake}),
	}
	r.events, r.facts = stream{fold: r.detect}, stream{fold: r.detect}
	r.inbox, r.proposals = stream{fold: r.respond, seen: newRing()}, stream{fold: r.gate, seen: newRing()}
	r.reader.seen, r.reader.networks = newRing(), cfg.Networks
	r.emit = func(out schemas.Output) { r.queue = append(r.queue, out) }
	in, err := json.Marshal(schemas.Installation{ID: "replay", Lanes: 1, LogID: "replay", HashSecret: secret})
	if err != nil {
		return nil, err
	}
	control := map[string][]byte{schemas.ControlPolicies: cfg.Control[schemas.ControlPolicies], schemas.ControlParameters: cfg.Control[schemas.ControlParameters], schemas.ControlInstallation: in}
	for _, f := range []fold{r.detect, r.respond, r.gate} {
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
// other.
func (r *Replay) Run(ctx context.Context, in io.Reader) (Summary, error) {
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	blocks, spent := r.reader.ahead(ctx, in)
	for b := range blocks {
		for i := range b.lines {
			if err := r.line(&b.lines[i]); err != nil {
				return r.sum, err
			}
		}
		if b.err != nil {
			return r.sum, b.err
		}
		if ctx.Err() != nil {
			return r.sum, ctx.Err()
		}
		spent <- b
	}
	r.sum.Elapsed += time.Since(start)
	return r.sum, ctx.Err()
}

func (r *Replay) line(l *line) error {
	r.sum.Lines++
	if l.err != nil {
		r.refuse(l.n, l.err)
		return nil //nolint:nilerr // a refused line costs its neighbours nothing
	}
	r.sum.Events++
	if l.double {
		r.sum.Duplicates++
	}
	r.arrival, r.at = l.event.Time, l.n
	r.in = schemas.Input{
		Topic: schemas.TopicEvents, Arrival: r.arrival, Kind: schemas.KindEvent, ID: l.event.ID, Source: "replay", Origin: schemas.OriginLive,
		Key: l.key, Value: l.data, Event: &l.event, Network: l.net, Duplicate: l.double,
	}
	return r.fold(&r.events)
}

// fold folds r.in in as the stream's next record, and all that follows from it.
func (r *Replay) fold(s *stream) error {
	r.queue = r.queue[:0]
	if err := r.apply(s); err != nil {
		return err
	}
	for i := 0; i < len(r.queue); i++ {
		if err := r.deliver(&r.queue[i]); err != nil {
			return err
		}
	}
	return nil
}

// deliver hands one record to the fold that reads its topic, or out.
func (r *Replay) deliver(o *schemas.Output) error {
	var to *stream
	switch o.Topic {
	case schemas.TopicFacts:
		to = &r.facts
	case schemas.TopicInbox:
		to = &r.inbox
		if o.Kind == schemas.KindSignal {
			if err := give(r.deps.Signals, o.Value, &r.sum.Signals); err != nil {
				return err
			}
		}
	case schemas.TopicProposals:
		to = &r.proposals
	case schemas.TopicDecisions:
		return give(r.deps.Decisions, o.Value, &r.sum.Decisions)
	default:
		return nil
	}
	r.in = schemas.Input{Topic: o.Topic, Arrival: r.arrival, Kind: o.Kind, ID: o.ID, Source: o.Source, Origin: o.Origin, Key: o.Key, Value: o.Value}
	if to.seen != nil {
		r.in.Duplicate = to.seen.Seen(to.offset, o.ID)
	}
	return r.apply(to)
}

// apply folds r.in in as the stream's next record.
func (r *Replay) apply(s *stream) error {
	r.in.Offset = s.offset
	s.offset++
	_, err := s.fold.Apply(&r.in, r.emit)
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*schemas.Error](err); ok {
		r.refuse(r.at, refused) // a lane rejects such a record and goes on
		return nil
	}
	return fmt.Errorf("%s %q on %s: %w", r.in.Kind, r.in.ID, r.in.Topic, err)
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
