package policy

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// Versions is the history of the policies: which set is in force when.
type Versions struct {
	from []time.Time
	sets []*Set
}

// Only returns a history of one set, in force always.
func Only(s *Set) *Versions { return &Versions{from: []time.Time{{}}, sets: []*Set{s}} }

// ParseVersions reads the control topic's value: schemas.Versioned whose values
// are policy files, each a JSON string that holds YAML or the same as a JSON object.
func ParseVersions(value []byte) (*Versions, error) {
	var v schemas.Versioned
	if err := json.Unmarshal(value, &v); err != nil {
		return nil, fmt.Errorf("control value %s: read its versions: %w: write it with `holdfast policies apply`", schemas.ControlPolicies, err)
	}
	out := &Versions{}
	var errs []error
	for i, x := range v.Versions {
		set, err := parseValue(fmt.Sprintf("policies[%d]", i), x.Value)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out.from, out.sets = append(out.from, x.From), append(out.sets, set)
	}
	if len(v.Versions) == 0 {
		errs = append(errs, fmt.Errorf("control value %s holds no version", schemas.ControlPolicies))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

func parseValue(name string, value jsontext.Value) (*Set, error) {
	text := []byte(value)
	if value.Kind() == '"' {
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		text = []byte(s)
	}
	return Parse(name, text)
}

// At returns the set in force at t, the oldest where t lies before all.
func (v *Versions) At(t time.Time) *Set {
	out := v.sets[0]
	for i, from := range v.from {
		if !from.After(t) {
			out = v.sets[i]
		}
	}
	return out
}
