package app

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/alerting/policy"
	"holdfast/detectors"
	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// Parameters gives the detectors' numbers of a policy file as detect reads them,
// nil where it sets none. The error names every mistake and its line.
func Parameters(name string, set *policy.Set) (jsontext.Value, error) {
	if len(set.Parameters) == 0 {
		return nil, nil
	}
	all, err := numbers(name, set.Parameters)
	if err != nil {
		return nil, err
	}
	return json.Marshal(all, json.Deterministic(true))
}

// Trial gives what a policy file has on trial as detect and respond read it, nil
// where there is nothing.
func Trial(name string, set *policy.Set) (jsontext.Value, error) {
	if set.Trial == nil {
		return nil, nil
	}
	all, err := numbers(name, set.Trial.Parameters)
	if err != nil {
		return nil, err
	}
	return json.Marshal(schemas.Trial{Name: set.Trial.Name, Parameters: all}, json.Deterministic(true))
}

// numbers checks settings, each by itself, so that every mistake has its line.
func numbers(file string, settings []policy.Setting) (map[string]map[string]float64, error) {
	hasher := sketch.NewHasher(make([]byte, 32))
	all, mistakes := map[string]map[string]float64{}, []error(nil)
	for _, p := range settings {
		one, err := json.Marshal(map[string]map[string]float64{p.Detector: {p.Name: p.Value}})
		if err != nil {
			return nil, err
		}
		if _, err := detectors.ParseParameters(one, hasher); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s:%d: %w: `holdfast policies print` lists what there is", file, p.Line, err))
		}
		if all[p.Detector] == nil {
			all[p.Detector] = map[string]float64{}
		}
		all[p.Detector][p.Name] = p.Value
	}
	return all, errors.Join(mistakes...)
}
