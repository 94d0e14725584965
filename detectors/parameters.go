package detectors

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// Parameters are the numbers in force for one window. Specs declares each.
type Parameters struct {
	Volume      VolumeParameters
	Strangers   StrangersParameters
	NewSource   NewSourceParameters
	Reach       ReachParameters
	Exposed     ExposedParameters
	Actor       ActorParameters
	Unproven    UnprovenParameters
	Outcomes    OutcomesParameters
	Takeover    TakeoverParameters
	Fresh       FreshParameters
	Dormancy    DormancyParameters
	Churn       ChurnParameters
	FanOut      FanOutParameters
	Source      SourceParameters
	Unexplained UnexplainedParameters
	StaffLogin  StaffLoginParameters
	cohorts     map[uint32]float64 // plan's fingerprint → recipients an hour
}

// DefaultParameters returns every parameter's default.
func DefaultParameters() Parameters {
	var p Parameters
	for _, s := range Specs() {
		for _, x := range s.Parameters {
			*x.at(&p) = x.Default
		}
	}
	return p
}

// ParseParameters reads {"detector": {"name": number}, "cohorts": {"plan":
// recipients an hour}} over the defaults. The error names every mistake.
func ParseParameters(data []byte, h sketch.Hasher) (Parameters, error) {
	p := DefaultParameters()
	p.cohorts = map[uint32]float64{}
	for plan, n := range DefaultCohorts() {
		p.cohorts[planPrint(h, plan)] = n
	}
	if len(data) == 0 {
		return p, nil
	}
	var in map[string]map[string]float64
	if err := json.Unmarshal(data, &in); err != nil {
		return p, fmt.Errorf(`parameters: %w: write {"volume": {"floor_1h": 50}, "cohorts": {"free": 60}}`, err)
	}
	var mistakes []string
	for plan, n := range in["cohorts"] {
		if !(n >= 1 && n <= 1e9) {
			mistakes = append(mistakes, fmt.Sprintf("cohorts.%s is %g, not 1 to 1e9 recipients an hour", plan, n))
		}
		p.cohorts[planPrint(h, plan)] = n
	}
	delete(in, "cohorts")
	for detector, values := range in {
		mistakes = append(mistakes, p.set(detector, values)...)
	}
	if len(mistakes) > 0 {
		slices.Sort(mistakes)
		return p, fmt.Errorf("parameters: %s", strings.Join(mistakes, "; "))
	}
	return p, nil
}

// DefaultCohorts returns the recipients an hour of plans, by which an account is
// judged while its own past is too short.
func DefaultCohorts() map[string]float64 { return map[string]float64{"free": 60} }

func (p *Parameters) set(detector string, values map[string]float64) (mistakes []string) {
	specs := Specs()
	i := slices.IndexFunc(specs, func(s Spec) bool { return s.Name == detector })
	if i < 0 {
		return []string{fmt.Sprintf("there is no detector %q", detector)}
	}
	for name, v := range values {
		j := slices.IndexFunc(specs[i].Parameters, func(x Parameter) bool { return x.Name == name })
		if j < 0 {
			mistakes = append(mistakes, fmt.Sprintf("%s has no parameter %q", detector, name))
			continue
		}
		x := specs[i].Parameters[j]
		if !(v >= x.Min && v <= x.Max) {
			mistakes = append(mistakes, fmt.Sprintf("%s.%s is %g, not %g to %g %s", detector, name, v, x.Min, x.Max, x.Unit))
			continue
		}
		*x.at(p) = v
	}
	return mistakes
}

func planPrint(h sketch.Hasher, plan string) uint32 { return uint32(h.String(plan)>>32) | 1 }

// versions are parameters with the event time from which each is in force.
type versions []version

type version struct {
	from int64 // Unix milliseconds
	p    Parameters
}

// at returns the parameters in force for a window that starts at ms, the oldest
// where it started before all of them.
func (v versions) at(ms int64) *Parameters {
	out := &v[0].p
	for i := 1; i < len(v) && v[i].from <= ms; i++ {
		out = &v[i].p
	}
	return out
}

func parseVersions(data []byte, h sketch.Hasher) (versions, error) {
	var in schemas.Versioned
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("control value %q: %w", schemas.ControlParameters, err)
	}
	if len(in.Versions) == 0 {
		return nil, fmt.Errorf("control value %q has no version: keep at least one", schemas.ControlParameters)
	}
	out := make(versions, 0, len(in.Versions))
	for i, x := range in.Versions {
		p, err := ParseParameters(x.Value, h)
		if err != nil {
			return nil, fmt.Errorf("control value %q, version from %s: %w", schemas.ControlParameters, x.From.Format(time.RFC3339), err)
		}
		if i > 0 && !x.From.After(in.Versions[i-1].From) {
			return nil, fmt.Errorf("control value %q: version %d does not begin after the one before it", schemas.ControlParameters, i+1)
		}
		out = append(out, version{x.From.UnixMilli(), p})
	}
	return out, nil
}
