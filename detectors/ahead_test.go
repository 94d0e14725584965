package detectors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"holdfast/schemas"
)

// guessedAccount is a month of an account's logins, then guesses, a success and a key.
func guessedAccount() []timed {
	l := life{start: 20_000 * msDay, rng: rand.New(rand.NewPCG(1, 1))}
	login := func(ms int64, ip, outcome string) {
		l.add(ms, `"type":"login","account":"shop","user":"ann","ip":%q,"outcome":%q`, ip, outcome)
	}
	for day := range 30 {
		login(l.start+int64(day)*msDay+9*msHour, "192.0.2.10", "success")
	}
	at := l.start + 30*msDay + 9*msHour
	for i := range 12 {
		login(at+int64(i)*30_000, "198.51.100.9", "failure")
	}
	login(at+7*msMinute, "198.51.100.9", "success")
	l.add(at+8*msMinute, `"type":"credential","account":"shop","credential":"key-new","kind":"api_key","change":"created","actor":"customer","ip":"198.51.100.9"`)
	return l.out
}

func takenOver(r *router) bool {
	for _, s := range r.signals {
		if s.Detector == freshCredentialSpec.Name && s.Level == 2 {
			return true
		}
	}
	return false
}

// One record whose clock is weeks ahead silences nothing that comes after it, in a file
// and in an import, wherever it stands and wherever the lane is cut.
func TestOneClockAheadSilencesNothing(t *testing.T) {
	plain := guessedAccount()
	for _, days := range []int64{4, 20, 60, 400} {
		for _, at := range []int{0, 1, 7, 29, 30, 35, 41, 42} {
			for _, cut := range []float64{0, 0.2} {
				events := slices.Clone(plain)
				odd := timed{plain[at].ms + days*msDay, ""}
				odd.data = fmt.Sprintf(`{"id":"ahead","time":%q,"type":"login","account":"shop","user":"ann","ip":"192.0.2.10","outcome":"success"}`, clockOf(odd.ms))
				events = slices.Insert(events, at, odd)
				for name, change := range map[string]func(*router){
					"a file":    func(r *router) { r.config.Untimed = true },
					"an import": func(r *router) { r.origin = schemas.OriginImport },
				} {
					if name == "an import" && at == 0 {
						continue // nothing says that an account's first record is not its first
					}
					r := newRouter(t, 1, 1)
					change(r)
					r.cut = cut
					r.upgrade()
					for _, e := range events {
						r.event([]byte(e.data))
					}
					r.run()
					if !takenOver(r) {
						t.Errorf("%s, %d days ahead before record %d, cut %g: the takeover was not seen", name, days, at, cut)
					}
					if s := r.engines[0].Stats(); cut == 0 && (s.Late != 0 || s.Ahead != 1) {
						t.Errorf("%s, %d days ahead before record %d: %d late, %d ahead", name, days, at, s.Late, s.Ahead)
					}
				}
			}
		}
	}
}

// A silence of weeks is no clock that is ahead, and what comes after it is judged as ever.
func TestSilenceIsNotAhead(t *testing.T) {
	events := guessedAccount()
	for i := range events {
		if i >= 30 {
			events[i] = later(events[i], 50*msDay)
		}
	}
	for _, untimed := range []bool{false, true} {
		r := newRouter(t, 1, 1)
		r.config.Untimed = untimed
		r.upgrade()
		for _, e := range events {
			r.event([]byte(e.data))
		}
		r.run()
		if s := r.engines[0].Stats(); s.Late != 0 || s.Ahead != 0 || !takenOver(r) {
			t.Errorf("untimed %v: %d late, %d ahead, taken over %v", untimed, s.Late, s.Ahead, takenOver(r))
		}
	}
}

// What is imported after an account's first live records is its history while it is new:
// it ends as an account does whose history came first. Later it is late, and counted.
func TestHistoryAfterTheFirstLiveRecords(t *testing.T) {
	const today = int64(20_040 * msDay)
	record := func(l *life, ms int64, to, ip string) {
		l.add(ms, `"type":"send","account":"shop","ip":%q,"recipients":[%q]`, ip, to)
	}
	var history, before, intruder life
	history.start, before.n, intruder.n = today-40*msDay, 100_000, 200_000
	for day := range int64(40) {
		for i := range int64(30) {
			record(&history, history.start+day*msDay+i*5000, fmt.Sprintf("reader%d@example.com", i), fmt.Sprintf("192.0.2.%d", 10+day%3))
		}
	}
	before.add(today+msHour, `"type":"account","account":"shop","plan":"pro","created":"2024-01-01T00:00:00Z"`)
	for i := range int64(120) {
		record(&intruder, today+2*msHour+i*1000, fmt.Sprintf("stranger%d@example.org", i), "198.51.100.99")
	}
	play := func(parts ...[]timed) *router {
		r := newRouter(t, 1, 1)
		for _, events := range parts {
			r.origin = schemas.OriginLive
			if len(events) == len(history.out) {
				r.origin = schemas.OriginImport
			}
			for _, e := range events {
				r.event([]byte(e.data))
			}
		}
		r.run()
		return r
	}
	first, after := play(history.out, before.out, intruder.out), play(before.out, history.out, intruder.out)
	found := map[string]bool{}
	for _, s := range after.signals {
		found[fmt.Sprint(s.Detector, s.Level)] = true
	}
	for _, s := range first.signals {
		if !found[fmt.Sprint(s.Detector, s.Level)] {
			t.Errorf("with its history after its first record nothing says %s/%d: %s", s.Detector, s.Level, s.Evidence.Text)
		}
	}
	if s := after.engines[0].Stats(); s.Late != 0 || s.Anew != 1 {
		t.Errorf("%d late, %d began anew", s.Late, s.Anew)
	}
	// Whose name was only guessed at so far, however long ago, has no history that began.
	var guessed life
	guessed.n = 400_000
	for day := range int64(20) {
		guessed.add(today-(20-day)*msDay+msHour, `"type":"login","account":"shop","user":"ann","ip":"198.51.100.7","outcome":"failure"`)
	}
	if s := play(guessed.out, history.out).engines[0].Stats(); s.Late != 0 || s.Anew != 1 {
		t.Errorf("an account that was only guessed at: %d late, %d began anew", s.Late, s.Anew)
	}
	var weeks life
	weeks.n = 300_000
	for day := range int64(9) {
		record(&weeks, today+day*msDay, "reader1@example.com", "192.0.2.10")
	}
	if s := play(weeks.out, history.out).engines[0].Stats(); s.Late != int64(len(history.out)) || s.Anew != 0 {
		t.Errorf("an account that has been seen for nine days: %d late, %d began anew", s.Late, s.Anew)
	}
}
