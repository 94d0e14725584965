package respond

import (
	"fmt"
	"strings"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// Keys gives the entities of which something is known live, in no order.
func (f *Fold) Keys(yield func(key string) bool) {
	for key := range f.entities {
		if !yield(key) {
			return
		}
	}
}

// Adopt takes an entity's published status for its standing where that is newer: what led
// to it lies before all that the fold was shown. Nothing is published. It reports whether
// anything changed.
func (f *Fold) Adopt(s schemas.Status) (bool, error) {
	key := s.Entity.Key()
	st, err := f.state(key, f.known(key))
	if err != nil {
		return false, err
	}
	now := &st.Standing
	known := schemas.Status{Episode: now.Episode, Step: now.Step}
	if now.Status != "" && !s.Newer(known) {
		return false, nil
	}
	*now = standing{Status: strings.Clone(s.Status), Episode: s.Episode, Step: s.Step, Verdict: s.Verdict, Decision: strings.Clone(s.Decision)}
	if s.Verdict.Stops() {
		now.Gravity = policy.SeverityRank(schemas.SeverityCritical)
		st.Stops = max(st.Stops, 1)
	}
	st.Top = max(st.Top, s.Episode)
	if s.Verdict == schemas.VerdictRelease {
		st.Base = max(st.Base, s.Episode)
		st.Releases = max(st.Releases, 1)
	}
	payload, version, err := st.encode(f.level)
	if err != nil {
		return false, fmt.Errorf("respond state of %s: %w", key, err)
	}
	f.put(key, entry{applied: f.known(key).applied, payload: payload, version: version, state: st, weight: st.weight()})
	return true, nil
}
