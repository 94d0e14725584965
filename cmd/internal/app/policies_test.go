package app_test

import (
	"testing"

	"holdfast/alerting/policy"
	"holdfast/detectors"
)

// A certain entry for a detector that does not exist would never be missed.
func TestCertainSignalsHaveDetectors(t *testing.T) {
	known := map[string]bool{}
	for _, s := range detectors.Specs() {
		known[s.Name] = true
	}
	for _, c := range policy.Default().Certain {
		if !known[c.Detector] {
			t.Errorf("the default policies call signals of %q certain, and there is no such detector", c.Detector)
		}
	}
}
