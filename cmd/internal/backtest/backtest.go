// Package backtest asks what policies and parameters would have decided about a
// stretch of the past, and compares that with what was decided and with what people
// found. It reads the audit store and writes nothing. The past runs through the very
// folds that decide live, with origin, arrival and network as they were recorded and
// with what people asked for meanwhile; so the policies that were in force give the
// decisions that were made, by their ids. The same past gives the same result.
package backtest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/policy"
	"holdfast/cmd/internal/replay"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

// Config is one back-test.
type Config struct {
	From, To time.Time     // decisions in [From, To) count
	WarmUp   time.Duration // how much before From is replayed so that baselines exist
	// Control are the policies and parameters in force then, with their history. Where
	// it is nil, Policies and Parameters are tried, nil each for the defaults, and the
	// Trial beside them, if there is one.
	Control    map[string][]byte
	Policies   *policy.Set
	Parameters []byte
	Trial      []byte
	HashSecret []byte        // the installation's; nil: a fixed one
	AgeLimit   time.Duration // respond's
	Brake      bool          // whether the gate may brake
	// AsLive takes every event as live and as arriving when it happened, in the order
	// of time: what would become of an imported past, were it to happen.
	AsLive bool
	// Only, where given, says of whom is told. All are replayed.
	Only []schemas.Entity
}

// Past is where the past is read.
type Past interface {
	Happened(ctx context.Context, from, to time.Time, order history.Order) iter.Seq2[history.Recorded, error]
	Requests(ctx context.Context, from, to time.Time) ([]history.Asked, error)
	Decided(ctx context.Context, from, to time.Time) ([]schemas.Decision, error)
	Acts(ctx context.Context, from time.Time) ([]schemas.Operator, error)
	Gaps(ctx context.Context, from, to time.Time) ([]schemas.Gap, error)
}

// Result is what a back-test found.
type Result struct {
	Summary  Summary
	Policies []Effect // by name
	Stops    []Stop   // by entity and time
	Cases    []Case   // what people judged, by entity and time
	Missing  []string // what could not be seen
}

// Summary is a back-test in a few numbers.
type Summary struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	WarmUp   string    `json:"warm_up"`
	Events   int64     `json:"events"`
	Then     Run       `json:"then"`
	Now      Run       `json:"now"`
	Same     int       `json:"same_decisions"` // decided then and now, by their ids
	Both     int       `json:"stopped_in_both"`
	OnlyThen int       `json:"stopped_only_then"`
	OnlyNow  int       `json:"stopped_only_now"`
}

// Run is one side of the comparison: what was, or what would have been.
type Run struct {
	Decisions int      `json:"decisions"` // by policies, of any mode
	Stops     int      `json:"stops"`
	Unjudged  int      `json:"stops_unjudged"` // nobody has confirmed or dismissed them
	Accuracy  Accuracy `json:"accuracy"`
}

// Try runs a back-test.
func Try(ctx context.Context, cfg Config, past Past) (*Result, error) {
	start := cfg.From.Add(-cfg.WarmUp)
	now, seen, err := again(ctx, &cfg, past, start)
	if err != nil {
		return nil, err
	}
	then, err := past.Decided(ctx, cfg.From, cfg.To)
	if err != nil {
		return nil, err
	}
	acts, err := past.Acts(ctx, cfg.From)
	if err != nil {
		return nil, err
	}
	gaps, err := past.Gaps(ctx, start, cfg.To)
	if err != nil {
		return nil, err
	}
	out := compare(cfg.concerned(then), cfg.concerned(now), acts)
	out.Missing = seen.missing(&cfg, start, gaps)
	s := &out.Summary
	s.From, s.To, s.WarmUp, s.Events = cfg.From.UTC(), cfg.To.UTC(), cfg.WarmUp.String(), seen.events
	return out, nil
}

// again replays the past and returns what is decided in [From, To).
func again(ctx context.Context, cfg *Config, past Past, start time.Time) ([]schemas.Decision, *sight, error) {
	var now []schemas.Decision
	seen := newSight()
	r, err := replay.New(replay.Config{
		Policies: cfg.Policies, Parameters: cfg.Parameters, Trial: cfg.Trial, Control: cfg.Control, HashSecret: cfg.HashSecret, AgeLimit: cfg.AgeLimit, Brake: cfg.Brake,
	}, replay.Deps{
		Decisions: func(b []byte) error {
			var d schemas.Decision
			if err := json.Unmarshal(b, &d); err != nil {
				return fmt.Errorf("a decision of the back-test: %w", err)
			}
			if !d.Time.Before(cfg.From) && d.Time.Before(cfg.To) {
				now = append(now, d)
			}
			return nil
		},
	})
	if err != nil {
		return nil, nil, err
	}
	asked, err := past.Requests(ctx, start, cfg.To)
	if err != nil {
		return nil, nil, err
	}
	if err := feed(ctx, cfg, past, start, seen, r, asked); err != nil {
		return nil, nil, fmt.Errorf("after %d events: %w", seen.events, err)
	}
	seen.refused = r.Summary().Refused
	return now, seen, nil
}

// feed gives events and requests to the folds in their order.
func feed(ctx context.Context, cfg *Config, past Past, start time.Time, seen *sight, r *replay.Replay, asked []history.Asked) error {
	order := history.ByArrival
	if cfg.AsLive {
		order = history.ByTime
	}
	next := 0
	for rec, err := range past.Happened(ctx, start, cfg.To, order) {
		if err != nil {
			return err
		}
		x := replay.Recorded{Event: rec.Event, Arrival: rec.Arrival.UnixMilli(), Source: rec.Source, Trust: rec.Trust, Origin: rec.Origin, Network: rec.Network, Double: seen.event(&rec, order)}
		if cfg.AsLive {
			x.Arrival, x.Origin = rec.Event.Time, schemas.OriginLive
		}
		for ; next < len(asked) && asked[next].Arrival.UnixMilli() < x.Arrival; next++ {
			if err := request(r, asked[next]); err != nil {
				return err
			}
		}
		if err := r.Event(x); err != nil {
			return err
		}
	}
	for _, q := range asked[next:] {
		if err := request(r, q); err != nil {
			return err
		}
	}
	return nil
}

// request carries out what a person asked for. What they saw may stand otherwise
// now, so the request is not bound to it.
func request(r *replay.Replay, q history.Asked) error {
	q.Episode, q.Step = nil, nil
	return r.Request(q.Request, q.Arrival.UnixMilli())
}

// concerned leaves out whom nobody asked about.
func (c *Config) concerned(all []schemas.Decision) []schemas.Decision {
	if len(c.Only) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(d schemas.Decision) bool {
		return !slices.ContainsFunc(c.Only, func(e schemas.Entity) bool {
			return d.Entity == e || e.Kind == schemas.KindAccount && d.Account == e.ID
		})
	})
}
