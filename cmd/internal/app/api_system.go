package app

import (
	"context"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/api"
	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// apiSystem tells the API of the process and of what is configured.
type apiSystem struct {
	app     *App
	started time.Time
}

// inForce is the newest version of the policies in control.
func (s *apiSystem) inForce(ctx context.Context) (set *policy.Set, from time.Time, err error) {
	all, err := ReadVersions(ctx, s.app.client, &s.app.cfg)
	if err != nil {
		return nil, from, err
	}
	var v schemas.Versioned
	var file string
	if err := json.Unmarshal(all[schemas.ControlPolicies], &v); err != nil || len(v.Versions) == 0 {
		return policy.Default(), from, nil //nolint:nilerr // none were written yet
	}
	newest := v.Versions[len(v.Versions)-1]
	if err := json.Unmarshal(newest.Value, &file); err != nil {
		return nil, from, err
	}
	set, err = policy.Parse("control", []byte(file))
	return set, newest.From, err
}

// Policies lists those in force.
func (s *apiSystem) Policies(ctx context.Context) ([]api.Policy, error) {
	set, from, err := s.inForce(ctx)
	if err != nil {
		return nil, err
	}
	out := []api.Policy{}
	for _, p := range set.Policies {
		out = append(out, api.Policy{Name: p.Name, Version: p.Version, Mode: p.Mode, Entity: p.Entity, Verdict: p.Verdict, When: p.When, From: from})
	}
	return out, nil
}

// Allowed lists the policy file's allow-list.
func (s *apiSystem) Allowed(ctx context.Context) ([]api.Allow, error) {
	set, from, err := s.inForce(ctx)
	if err != nil {
		return nil, err
	}
	var out []api.Allow
	for _, a := range set.Allows() {
		if a.Until.After(time.Now()) {
			out = append(out, api.Allow{Entity: a.Entity, Detector: strings.Join(a.Detectors, ", "), Since: from, Until: a.Until, By: "policy file", Why: a.Reason, From: "file"})
		}
	}
	return out, nil
}

// Shared says why no policy would block an address.
func (s *apiSystem) Shared(ctx context.Context, e schemas.Entity) string {
	set, _, err := s.inForce(ctx)
	if err != nil {
		return ""
	}
	return set.SharedAddress(e.ID)
}

// Brake tells of the gate where this process has had its lane.
func (s *apiSystem) Brake(context.Context) (api.Brake, error) {
	b := api.Brake{Off: !s.app.cfg.Respond.Brake}
	if m := s.app.gate; m != nil && m.here.Load() {
		b.Known, b.Tripped, b.Stops = true, m.meter.Tripped(), m.meter.Counted()
	}
	return b, nil
}

// About tells of this process.
func (s *apiSystem) About(context.Context) (api.About, error) {
	a := s.app
	out := api.About{Version: Version, Started: s.started, Store: a.health.store.Load(), Lag: map[string]int64{}, Troubles: a.health.unready()}
	for _, r := range a.opts.Roles {
		out.Roles = append(out.Roles, string(r))
		if n, ok := a.Lag(string(r)); ok {
			out.Lag[string(r)] = int64(n)
		}
	}
	if e := a.health.enforcement.Load(); e != nil {
		out.Troubles = append(out.Troubles, e.detail()...)
	}
	return out, nil
}
