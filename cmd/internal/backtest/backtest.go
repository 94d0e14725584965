// Package backtest asks what policies and parameters would have decided about a
// stretch of the past, and compares that with what was decided and with what people
// found. It reads the audit store and writes nothing: the past runs through the
// very folds that decide live, in the order of event time, every event taken as
// live and the brake off.
package backtest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/policy"
	"holdfast/cmd/internal/replay"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

// Config is one back-test.
type Config struct {
	From, To   time.Time     // decisions in [From, To) count
	WarmUp     time.Duration // how much before From is replayed so that baselines exist
	Policies   *policy.Set   // nil: the built-in ones
	Parameters []byte        // detectors' parameters as JSON; nil: the defaults
	Mode       schemas.Mode  // whose decisions are looked at: live, or shadow
}

// Past is where the past is read.
type Past interface {
	InTime(ctx context.Context, from, to time.Time) iter.Seq2[history.Recorded, error]
	Verdicts(ctx context.Context, from, to time.Time) ([]history.Verdict, error)
	Judgements(ctx context.Context, from, to time.Time) (map[schemas.Entity]bool, error)
}

// Stop is an entity that was stopped, then, now, or both.
type Stop struct {
	Entity    schemas.Entity `json:"entity"`
	Then      *time.Time     `json:"then,omitempty"` // when it was stopped
	Now       *time.Time     `json:"now,omitempty"`  // when it would have been
	Policy    string         `json:"policy"`
	Reason    string         `json:"reason,omitempty"` // of the stop now
	Confirmed *bool          `json:"confirmed,omitempty"`
}

// Tally counts the decisions of one policy and verdict.
type Tally struct {
	Policy  string          `json:"policy"`
	Verdict schemas.Verdict `json:"verdict"`
	Then    int             `json:"then"`
	Now     int             `json:"now"`
}

// Accuracy is how stops agree with what people found: of those stopped and
// judged, how many were confirmed; of those confirmed, how many were stopped.
type Accuracy struct {
	Stopped   int `json:"stopped"`   // and judged by a person
	Right     int `json:"right"`     // of them confirmed
	Confirmed int `json:"confirmed"` // stopped or not
}

// Result is what a back-test found.
type Result struct {
	Events   int64       `json:"events"`
	Elapsed  string      `json:"elapsed"`
	Stops    []Stop      `json:"stops"`
	Tallies  []Tally     `json:"tallies"`
	Accuracy [2]Accuracy `json:"accuracy"` // then, now
}

// Run replays the past.
func Run(ctx context.Context, cfg Config, past Past) (*Result, error) {
	start := time.Now()
	var now []schemas.Decision
	r, err := replay.New(replay.Config{Policies: cfg.Policies, Parameters: cfg.Parameters}, replay.Deps{Decisions: func(b []byte) error {
		var d schemas.Decision
		if err := json.Unmarshal(b, &d); err != nil {
			return fmt.Errorf("a decision of the back-test: %w", err)
		}
		if d.Mode == cfg.Mode && !d.Time.Before(cfg.From) && d.Time.Before(cfg.To) && d.Verdict.Rank() > 0 {
			now = append(now, d)
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	for rec, err := range past.InTime(ctx, cfg.From.Add(-cfg.WarmUp), cfg.To) {
		if err != nil {
			return nil, err
		}
		if err := r.Event(rec.Event, rec.Network); err != nil {
			return nil, err
		}
	}
	then, err := past.Verdicts(ctx, cfg.From, cfg.To)
	if err != nil {
		return nil, err
	}
	// What was imported was decided in mode history: it is what then was.
	then = slices.DeleteFunc(then, func(v history.Verdict) bool {
		return (v.Mode == schemas.ModeShadow) != (cfg.Mode == schemas.ModeShadow)
	})
	judged, err := past.Judgements(ctx, cfg.From, cfg.To.Add(30*24*time.Hour))
	if err != nil {
		return nil, err
	}
	out := compare(then, now, judged)
	out.Events, out.Elapsed = r.Summary().Events, time.Since(start).Round(time.Millisecond).String()
	return out, nil
}

// compare joins what was with what would have been.
func compare(then []history.Verdict, now []schemas.Decision, judged map[schemas.Entity]bool) *Result {
	stops := map[schemas.Entity]*Stop{}
	tallies := map[[2]string]*Tally{}
	stop := func(e schemas.Entity) *Stop {
		if stops[e] == nil {
			stops[e] = &Stop{Entity: e}
			if ok, known := judged[e]; known {
				stops[e].Confirmed = &ok
			}
		}
		return stops[e]
	}
	tally := func(policy string, v schemas.Verdict) *Tally {
		k := [2]string{policy, string(v)}
		if tallies[k] == nil {
			tallies[k] = &Tally{Policy: policy, Verdict: v}
		}
		return tallies[k]
	}
	for _, v := range then {
		tally(v.Policy, v.Word).Then++
		if s := v.Word.Stops(); s {
			if at := stop(v.Entity); at.Then == nil {
				at.Then, at.Policy = &v.Time, v.Policy
			}
		}
	}
	for i := range now {
		d := &now[i]
		tally(d.Policy, d.Verdict).Now++
		if d.Verdict.Stops() {
			if at := stop(d.Entity); at.Now == nil {
				at.Now, at.Policy, at.Reason = &d.Time, d.Policy, d.Reason
			}
		}
	}
	out := &Result{}
	for _, s := range stops {
		out.Stops = append(out.Stops, *s)
	}
	slices.SortFunc(out.Stops, func(a, b Stop) int { return strings.Compare(a.Entity.Key(), b.Entity.Key()) })
	for _, k := range slices.SortedFunc(maps.Keys(tallies), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		out.Tallies = append(out.Tallies, *tallies[k])
	}
	for e, confirmed := range judged {
		s := stops[e]
		for i, stopped := range [2]bool{s != nil && s.Then != nil, s != nil && s.Now != nil} {
			a := &out.Accuracy[i]
			if stopped {
				a.Stopped++
			}
			if confirmed {
				a.Confirmed++
				if stopped {
					a.Right++
				}
			}
		}
	}
	return out
}

// Precision and Recall are shares; ok is false where there is nothing to divide by.
func (a Accuracy) Precision() (share float64, ok bool) {
	return float64(a.Right) / float64(max(a.Stopped, 1)), a.Stopped > 0
}

// Recall is the share of what people confirmed that was stopped.
func (a Accuracy) Recall() (share float64, ok bool) {
	return float64(a.Right) / float64(max(a.Confirmed, 1)), a.Confirmed > 0
}
