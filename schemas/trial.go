package schemas

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Trial is one version of the control value "trial": detectors' numbers that run in
// shadow beside the live ones. What it does not name is as the live number is. A
// version without a name says that there is no trial.
type Trial struct {
	Name       string                        `json:"name,omitempty"`
	Parameters map[string]map[string]float64 `json:"parameters,omitempty"`
}

// TrialRun is a trial from its beginning to its end, in event time. A trial that is
// renamed, or taken up again after a time without it, is another run.
type TrialRun struct {
	Name        string
	From, Until time.Time // Until is zero while nobody has ended it
	// Numbers are the versions of its own numbers.
	Numbers Versioned
}

// ID tells runs apart. It holds no colon but the one before the beginning.
func (r *TrialRun) ID() string { return r.Name + ":" + strconv.FormatInt(r.From.Unix(), 10) }

// Over reports whether the run had ended so long before a time.
func (r *TrialRun) Over(arrival int64, after time.Duration) bool {
	return !r.Until.IsZero() && arrival > r.Until.Add(after).UnixMilli()
}

// TrialRuns reads the control value "trial", oldest run first.
func TrialRuns(value []byte) ([]TrialRun, error) {
	if value == nil {
		return nil, nil
	}
	var v Versioned
	if err := json.Unmarshal(value, &v); err != nil {
		return nil, fmt.Errorf("control value %q: %w", ControlTrial, err)
	}
	var out []TrialRun
	var now *TrialRun
	for _, x := range v.Versions {
		var t Trial
		if err := json.Unmarshal(x.Value, &t); err != nil {
			return nil, fmt.Errorf("control value %q, version from %s: %w", ControlTrial, x.From.Format(time.RFC3339), err)
		}
		if t.Name == EvidenceRun {
			return nil, fmt.Errorf("control value %q: the name %q is taken: choose another", ControlTrial, t.Name)
		}
		if strings.Contains(t.Name, ":") {
			return nil, fmt.Errorf("control value %q: the name %q holds a colon", ControlTrial, t.Name)
		}
		if now != nil && now.Name != t.Name {
			now.Until, now = x.From, nil
		}
		if t.Name == "" {
			continue
		}
		if now == nil {
			out = append(out, TrialRun{Name: t.Name, From: x.From})
			now = &out[len(out)-1]
		}
		numbers, err := json.Marshal(t.Parameters, json.Deterministic(true))
		if err != nil {
			return nil, fmt.Errorf("control value %q: %w", ControlTrial, err)
		}
		now.Numbers.Versions = append(now.Numbers.Versions, Version{From: x.From, Value: jsontext.Value(numbers)})
	}
	return out, nil
}

// EvidenceRun stands for the name of a trial where records of evidence-only sources are
// judged beside those that are trusted in full: by the live numbers, apart from all that
// is live. No trial of an operator's has the name.
const EvidenceRun = "+evidence"

// trialPrefix begins the keys of a trial's state values. It is no kind of entity.
const trialPrefix = "trial:"

// TrialKey is the key of an entity's state under a trial, on the projection that
// holds its live state: both are saved at once.
func TrialKey(trial, entity string) string { return trialPrefix + trial + ":" + entity }

// CutTrialKey takes a key of TrialKey apart. The trial may hold so many colons.
func CutTrialKey(key string, colons int) (trial, entity string, ok bool) {
	rest, ok := strings.CutPrefix(key, trialPrefix)
	if !ok {
		return "", "", false
	}
	at := 0
	for range colons + 1 {
		n := strings.IndexByte(rest[at:], ':')
		if n < 0 {
			return "", "", false
		}
		at += n + 1
	}
	return rest[:at-1], rest[at:], true
}

// OfTrial derives the id of a trial's finding from the one that it would have live;
// no trial leaves it.
func OfTrial(id, trial string) string {
	if trial == "" {
		return id
	}
	prefix, _, _ := strings.Cut(id, "_")
	return DeriveID(prefix, id, "trial", trial)
}
