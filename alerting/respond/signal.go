package respond

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// judgement is one signal's way through the stages, and then that of each policy
// that holds.
type judgement struct {
	*work
	signal kept

	set     *policy.Set
	policy  *policy.Policy
	until   []*kept // what may be in a window, oldest first
	at      int64   // time of the newest of them
	sights  []sight // of the windows that end there
	view    *view
	mode    schemas.Mode
	episode int
}

// stage returns false where the way ends.
type stage func(*judgement) bool

// perSignal and perPolicy are the stages in their order. A policy's change nothing, so
// that any order would do: what costs least comes first.
var (
	perSignal = []stage{(*judgement).unknown, (*judgement).notSnoozed, (*judgement).notAllowed}
	perPolicy = []stage{(*judgement).enough, (*judgement).aboveFloor, (*judgement).undecided, (*judgement).holds}
)

func (w *work) signal() (bool, error) {
	s, err := signalOf(w.in)
	if err != nil {
		return false, err
	}
	if s.Trial != "" {
		return false, &schemas.Error{Reason: schemas.ReasonBadField, Record: s.ID, Field: "trial",
			What: "a signal on trial comes as a live one", Fix: "send it as " + string(schemas.KindTrial)}
	}
	return w.judge(s)
}

// signalOf reads a record's signal.
func signalOf(in *schemas.Input) (*schemas.Signal, error) {
	if in.Signal != nil {
		return in.Signal, nil
	}
	s := new(schemas.Signal)
	if err := json.Unmarshal(in.Value, s); err != nil {
		return nil, &schemas.Error{Reason: schemas.ReasonNotJSON, Record: in.ID, What: "signal cannot be read: " + err.Error()}
	}
	return s, nil
}

// judge takes a signal through the stages.
func (w *work) judge(s *schemas.Signal) (bool, error) {
	if err := w.check(s); err != nil {
		return false, err
	}
	w.now = s.Time
	w.adopt()
	j := &judgement{work: w, signal: w.fold.keep(s)}
	if odd(j.signal.Time) || odd(j.signal.Arrival) || odd(w.st.Clock) || len(w.st.Pending) > 0 {
		if err := w.secure(); err != nil {
			return false, err
		}
	}
	for _, next := range perSignal {
		if !next(j) {
			return true, nil // its id may be new among the known ones
		}
	}
	w.st.add(j.signal)
	j.windows()
	return true, nil
}

func (w *work) check(s *schemas.Signal) error {
	bad := func(field, what string) error {
		return &schemas.Error{Reason: schemas.ReasonBadField, Record: w.in.ID, Field: field, What: what}
	}
	switch {
	case s.ID == "" || len(s.ID) > maxID:
		return bad("id", "is missing or longer than 128 bytes")
	case s.Entity != w.entity:
		return &schemas.Error{Reason: schemas.ReasonWrongKey, Record: s.ID, Field: "entity",
			What: fmt.Sprintf("is %s, but the record's key is %s", s.Entity, w.entity)}
	case s.Time.IsZero():
		return bad("time", "is missing")
	}
	return nil
}

// keep cuts a signal to what is remembered, in memory of its own. Its mode is history
// where its trigger was not live or arrived later than the age limit allows.
func (f *Fold) keep(s *schemas.Signal) kept {
	late := f.cfg.AgeLimit > 0 && s.Arrival.Sub(s.Time) > f.cfg.AgeLimit
	return kept{
		ID: own(s.ID, maxID), Time: s.Time.UnixMilli(), Arrival: s.Arrival.UnixMilli(), History: s.Origin != schemas.OriginLive || late,
		Detector: own(s.Detector, 64), Family: schemas.Family(own(string(s.Family), 32)), Severity: schemas.Severity(own(string(s.Severity), 32)),
		Score: s.Score, Level: s.Level, Certain: s.Certain, Account: own(s.Account, maxID), Credential: own(s.Credential, maxID),
		Observed: s.Evidence.Observed, Expected: s.Evidence.Expected, Threshold: s.Evidence.Threshold,
		Unit: own(s.Evidence.Unit, 32), Text: own(oneLine(s.Evidence.Text), maxEvidence),
		Address: own(s.Address, 64), User: own(s.User, maxID), Employee: own(s.Employee, maxID), Usual: s.Usual, Alone: s.Alone,
	}
}

// oneLine replaces control characters: evidence quotes what strangers wrote.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}

// own is a copy of a text, clipped.
func own(s string, n int) string { return strings.Clone(clip(s, n)) }

// clip cuts s at n bytes, between runes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// add keeps the signal, oldest first, and forgets what is too old. Of too many,
// the weakest goes.
func (s *state) add(k kept) {
	s.Clock = max(s.Clock, k.Time)
	at, _ := slices.BinarySearchFunc(s.Signals, &k, func(a kept, b *kept) int { return byTime(&a, b) })
	s.Signals = slices.Insert(s.Signals, at, k)
	s.forget()
	if len(s.Signals) > maxSignals {
		weakest := 0
		for i := range s.Signals {
			if byStrength(&s.Signals[i], &s.Signals[weakest]) < 0 {
				weakest = i
			}
		}
		s.Signals = slices.Delete(s.Signals, weakest, weakest+1)
	}
}

func byTime(a, b *kept) int {
	if c := cmp.Compare(a.Time, b.Time); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

func byStrength(a, b *kept) int {
	return cmp.Or(compareBool(a.Certain, b.Certain),
		cmp.Compare(policy.SeverityRank(a.Severity), policy.SeverityRank(b.Severity)),
		cmp.Compare(a.Score, b.Score), byTime(a, b))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
