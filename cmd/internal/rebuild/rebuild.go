// Package rebuild makes the state of detection, respond and the gate anew from the audit
// store: where no version of the program can read what is there, where it was lost, or
// where an installation is to have another number of lanes. The past runs through the
// very folds that decide live, in the order of arrival, with origin, network and arrival
// as they were recorded and with what people asked for in between. Nothing is published:
// what follows from the past was published then.
//
// It reads the store once and keeps all state in memory, as much as the lanes together
// do. Now and then it writes down how far it has come, and a run that is started again
// goes on from there.
package rebuild

import (
	"context"
	"fmt"
	"iter"
	"time"

	"holdfast/cmd/internal/replay"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

// Config is one rebuild.
type Config struct {
	// Control are the installation's policies, parameters, trials and level.
	Control    map[string][]byte
	HashSecret []byte
	AgeLimit   time.Duration // respond's
	Brake      bool          // whether the gate may brake
	Since      time.Time     // events that arrived before it are left out
	// Folded tells whether a record of the past was part of the lanes' state; those that
	// were not are left to the lanes.
	Folded func(at history.Position) bool
	// Notes is the file in which is written down how far the run has come; "" for none.
	Notes string
	// Every is after how many events that is done (default 2,000,000).
	Every int64
	// Progress, where given, is called a few times a second at most.
	Progress func(Progress)
}

// Progress is how far a rebuild has come.
type Progress struct {
	Events  int64
	Arrival time.Time // up to which the past has been read
	Resumed bool      // a former run's notes were taken
}

// Past is where the past is read.
type Past interface {
	Arrived(ctx context.Context, from, to time.Time) iter.Seq2[history.Recorded, error]
	Reach(ctx context.Context, before time.Time) (time.Time, error)
	Requests(ctx context.Context, from, to time.Time) ([]history.Asked, error)
}

// State is what was rebuilt.
type State struct {
	run       *replay.Replay
	Events    int64
	Requests  int64
	Decisions map[string]bool // ids of those that follow, since the notes that were taken
	Resumed   bool
}

// endOfTime is later than all that can be recorded.
var endOfTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// Run rebuilds the state in memory.
func Run(ctx context.Context, cfg Config, past Past) (*State, error) {
	if cfg.Every == 0 {
		cfg.Every = 2_000_000
	}
	st := &State{Decisions: map[string]bool{}}
	var err error
	st.run, err = replay.New(replay.Config{Control: cfg.Control, HashSecret: cfg.HashSecret, AgeLimit: cfg.AgeLimit, Brake: cfg.Brake},
		replay.Deps{Decisions: st.decision})
	if err != nil {
		return nil, err
	}
	p := player{cfg: &cfg, past: past, st: st, ids: map[logID]*ring{}, from: cfg.Since}
	if err := p.resume(ctx); err != nil {
		return nil, err
	}
	if p.asked, err = past.Requests(ctx, time.UnixMilli(0), endOfTime); err != nil {
		return nil, err
	}
	if err := p.play(ctx); err != nil {
		return nil, fmt.Errorf("after %d events: %w", st.Events, err)
	}
	return st, nil
}

// Adopt takes the published statuses for the standing of entities of whom the store does
// not reach back far enough, and returns of how many.
func (s *State) Adopt(all []schemas.Status) (n int, err error) {
	for _, x := range all {
		changed, err := s.run.Adopt(x)
		if err != nil {
			return n, err
		}
		if changed {
			n++
		}
	}
	return n, nil
}

// Values gives the state as values of the projections: entity by entity, an entity's own
// value and those of trials under the keys that they have there. The offsets applied are
// what applied says for the entity.
func (s *State) Values(applied func(topic schemas.Topic, entity string) schemas.Applied, emit func(topic schemas.Topic, entity, key string, value []byte) error) error {
	return s.run.Save(func(topic schemas.Topic, entity, key string, value []byte) error {
		f, err := schemas.ParseStateFrame(value)
		if err != nil {
			return fmt.Errorf("state of %q: %w", key, err)
		}
		f.Applied = applied(topic, entity)
		return emit(topic, entity, key, schemas.AppendStateFrame(nil, f))
	})
}
