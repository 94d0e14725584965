package respond

import (
	"math"
	"time"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// windows judges every window that the new signal is part of: one ends at each
// remembered signal that is not older than the new one. A signal may come late by
// the lateness; judging the windows that end after it makes the decisions
// independent of the order. Live and history signals are judged apart.
func (j *judgement) windows() {
	last := int64(math.MinInt64)
	j.whole = make([]kept, 0, len(j.st.Signals))
	for i := range j.st.Signals {
		end := &j.st.Signals[i]
		within := end.Time >= j.signal.Time && end.Time-j.signal.Time <= int64(policy.MaxWindow/time.Millisecond)
		if within && end.History == j.signal.History && end.Time != last {
			last = end.Time
			j.end(end.Time)
		}
	}
}

// end judges the windows that end at one time.
func (j *judgement) end(at int64) {
	j.at = at
	j.set = j.fold.policies.At(fromMilli(at))
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
	if !j.gathered() {
		return
	}
	for _, v := range j.views() {
		j.window, j.episode = v.window, v.episode
		if j.mode == schemas.ModeLive {
			j.episode = max(j.episode, j.st.Base)
		}
		if j.stages() {
			j.route()
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

// gathered collects the policy's window, which the new signal must be part of.
func (j *judgement) gathered() bool {
	from := j.at - j.policy.Window.Milliseconds()
	j.whole = j.whole[:0]
	part := false
	for i := range j.st.Signals {
		k := &j.st.Signals[i]
		if k.Time <= from || k.Time > j.at || k.History != j.signal.History {
			continue
		}
		j.whole = append(j.whole, *k)
		part = part || k.ID == j.signal.ID
	}
	j.window = j.whole
	return part
}

// undecided ends the way of a policy that has given its verdict in this episode.
func (j *judgement) undecided() bool {
	return !j.st.isDone(j.decisionID(j.policy.Verdict))
}

// holds evaluates the policy's condition. One that fails does not hold.
func (j *judgement) holds() bool {
	j.env = j.sumUp()
	ok, err := j.policy.Holds(j.env)
	return ok && err == nil
}

func (j *judgement) sumUp() *policy.Env {
	signals := make([]policy.Signal, len(j.window))
	for i := range j.window {
		signals[i] = j.asSeen(&j.window[i])
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
		Credential: k.Credential, Age: int((j.at - k.Time) / 1000),
	}
	s.Certain = j.set.IsCertain(s)
	return s
}
