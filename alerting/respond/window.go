package respond

import (
	"slices"
	"time"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// windows judges every window that the new signal is part of: one ends at each
// remembered signal that is not older than the new one. A signal may come late by
// the lateness; judging the windows that end after it makes the decisions
// independent of the order. Live and history signals are judged apart.
func (j *judgement) windows() {
	alike := make([]*kept, 0, len(j.st.Signals))
	for i := range j.st.Signals {
		if k := &j.st.Signals[i]; k.History == j.signal.History {
			alike = append(alike, k)
		}
	}
	for i, end := range alike {
		within := end.Time >= j.signal.Time && end.Time-j.signal.Time <= int64(policy.MaxWindow/time.Millisecond)
		if within && (i+1 == len(alike) || alike[i+1].Time != end.Time) {
			j.end(alike[:i+1])
		}
	}
}

// end judges the windows that end with the last of the signals.
func (j *judgement) end(signals []*kept) {
	j.until, j.at, j.sights = signals, signals[len(signals)-1].Time, j.sights[:0]
	j.set = j.fold.policies.At(fromMilli(j.at))
	for _, p := range j.set.For(j.entity.Kind) {
		if j.trial != "" && p.Mode != schemas.ModeLive {
			continue // one thing is tried at a time
		}
		j.policy, j.mode = p, p.Mode
		switch {
		case j.trial != "":
			j.mode = schemas.ModeShadow
		case j.signal.History:
			j.mode = schemas.ModeHistory
		}
		j.judgePolicy()
	}
}

// judgePolicy takes one policy through its stages, once for each episode that its window
// may speak of.
func (j *judgement) judgePolicy() {
	views := j.gathered()
	for i := range views {
		j.view = &views[i]
		j.episode = j.view.episode
		if j.mode == schemas.ModeLive {
			j.episode = max(j.episode, j.st.Base)
		}
		if j.view.env == nil {
			j.view.env = j.sumUp(j.view.window)
		}
		if j.stages() {
			j.route()
		} else {
			j.widen()
		}
	}
}

func (j *judgement) stages() bool {
	for _, next := range perPolicy {
		if !next(j) {
			return false
		}
	}
	return true
}

// gathered returns the views of the policy's window, none where the new signal is not
// part of it. Most policies' windows hold the same signals, so what is made of them is
// kept by the first signal.
func (j *judgement) gathered() []view {
	after := j.at - j.policy.Window.Milliseconds()
	first := slices.IndexFunc(j.until, func(k *kept) bool { return k.Time > after })
	for i := range j.sights {
		if j.sights[i].first == first {
			return j.sights[i].views
		}
	}
	s := sight{first: first}
	window := j.until[first:]
	if slices.ContainsFunc(window, func(k *kept) bool { return k.ID == j.signal.ID }) {
		s.views = j.views(window)
	}
	j.sights = append(j.sights, s)
	return s.views
}

// undecided ends the way of a policy that has given its verdict in this episode.
func (j *judgement) undecided() bool {
	return !j.st.isDone(done{j.policy.Name, j.policy.Verdict, j.mode, j.trial, j.episode})
}

// holds evaluates the policy's condition. One that fails does not hold.
func (j *judgement) holds() bool {
	ok, err := j.policy.Holds(j.view.env)
	return ok && err == nil
}

// sumUp is what conditions see of a window. Nothing that one policy decides changes it
// for the next: a stop counts only once the gate has answered.
func (j *judgement) sumUp(window []*kept) *policy.Env {
	signals := make([]policy.Signal, len(window))
	for i, k := range window {
		signals[i] = j.asSeen(k)
	}
	e := policy.Entity{Kind: string(j.entity.Kind), ID: j.entity.ID, Protected: j.st.protected()}
	if j.st.Account != nil {
		e.Plan = j.st.Account.Plan
	}
	h := policy.History{Stops: j.st.Stops, Releases: j.st.Releases, Probation: j.at <= j.st.Probation}
	return policy.NewEnv(e, h, signals)
}

// asSeen is a signal as a condition sees it at the window's end.
func (j *judgement) asSeen(k *kept) policy.Signal {
	s := policy.Signal{
		Detector: k.Detector, Family: string(k.Family), Severity: policy.SeverityRank(k.Severity), Score: k.Score, Level: k.Level,
		Certain: k.Certain, Observed: k.Observed, Expected: k.Expected, Threshold: k.Threshold, Unit: k.Unit,
		Credential: k.Credential, Alone: k.Alone, Age: int((j.at - k.Time) / 1000),
	}
	s.Certain = j.set.IsCertain(s)
	return s
}
