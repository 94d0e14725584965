package enforce_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"holdfast/alerting/decision"
	"holdfast/alerting/enforce"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStopIsCarriedOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record("dec_1", "a", schemas.VerdictSuspend)
		w := newWorld(r, r)
		mail := &receiver{name: "smtp", operators: []string{"ops"}, customers: true}
		w.notifiers = []enforce.Notifier{mail}
		w.run(t, time.Minute)
		if diff := cmp.Diff([]string{"a suspend done×1"}, w.outcomes()); diff != "" {
			t.Error(diff)
		}
		slices.Sort(mail.calls)
		if diff := cmp.Diff([]string{"a customer owner@a", "a operator ops"}, mail.calls); diff != "" {
			t.Error(diff)
		}
		if len(w.notices) != 2 || w.committed[3] != 12 {
			t.Errorf("%d notices, committed %v", len(w.notices), w.committed)
		}
		for _, n := range w.notices {
			if n.Audience == notify.AudienceCustomer && strings.Contains(n.Body, "4312") {
				t.Errorf("the customer is told a number:\n%s", n.Body)
			}
		}
		if got := testutil.ToFloat64(gather(t, w.reg)); got != 1 {
			t.Errorf("%v actions counted", got)
		}

		again := newWorld(r)
		again.notifiers = []enforce.Notifier{mail}
		again.known = []string{w.actions[0].ID, w.notices[0].ID, w.notices[1].ID}
		again.run(t, time.Minute)
		if len(again.actions)+len(again.notices)+len(again.platform.calls) != 0 || again.committed[3] != 11 {
			t.Errorf("what was written down was done again: %v %v", again.actions, again.platform.calls)
		}
	})
}

// gather picks the counter of done actions out of the registry.
func gather(t *testing.T, reg *prometheus.Registry) prometheus.Collector {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "x"})
	for _, f := range families {
		if f.GetName() == "holdfast_enforce_actions_total" {
			for _, m := range f.GetMetric() {
				g.Add(m.GetCounter().GetValue())
			}
		}
	}
	return g
}

func TestWhatIsNotCarriedOut(t *testing.T) {
	for name, change := range map[string]func(*decision.Record){
		"shadow":            func(r *decision.Record) { r.Mode = schemas.ModeShadow },
		"history":           func(r *decision.Record) { r.Mode = schemas.ModeHistory },
		"observe":           func(r *decision.Record) { r.Verdict, r.Status = schemas.VerdictObserve, nil },
		"review":            func(r *decision.Record) { r.Verdict, r.Proposed = schemas.VerdictReview, schemas.VerdictReview },
		"a known stop":      func(r *decision.Record) { r.Status = nil },
		"old and not acted": func(r *decision.Record) { r.Status, r.Arrival = nil, time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := record("dec_1", "a", schemas.VerdictSuspend)
				change(r)
				w := newWorld(r)
				mail := &receiver{name: "smtp", operators: []string{"ops"}, customers: true}
				w.notifiers = []enforce.Notifier{mail}
				w.run(t, time.Minute)
				if len(w.platform.calls)+len(mail.calls)+len(w.actions) != 0 || w.committed[3] != 11 {
					t.Errorf("platform %v, mail %v, committed %v", w.platform.calls, mail.calls, w.committed)
				}
			})
		})
	}
}

func TestThrottlesThatStayAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		pending, braked bool
		want            []string
	}{
		"stays":   {want: []string{"a customer owner@a", "a operator ops"}},
		"pending": {pending: true},
		"braked":  {braked: true, want: []string{"a operator ops"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := record("dec_1", "a", schemas.VerdictThrottle)
			r.Pending, r.Braked = c.pending, c.braked
			w := newWorld(r)
			mail := &receiver{name: "smtp", operators: []string{"ops"}, customers: true}
			w.notifiers = []enforce.Notifier{mail}
			w.run(t, time.Minute)
			slices.Sort(mail.calls)
			if !slices.Equal(mail.calls, c.want) || len(w.platform.calls) != 1 {
				t.Errorf("%s: mail %v, platform %v", name, mail.calls, w.platform.calls)
			}
		})
	}
}

func TestOldDecisionsAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, byHand, off := record("dec_1", "a", schemas.VerdictSuspend), record("dec_2", "b", schemas.VerdictSuspend), record("dec_3", "c", schemas.VerdictSuspend)
		old.Arrival, byHand.Arrival, off.Arrival = time.Now().Add(-7*time.Hour), time.Now().Add(-7*time.Hour), time.Now().Add(-7*time.Hour)
		byHand.By = "ann"
		w := newWorld(old, byHand)
		mail := &receiver{name: "smtp", operators: []string{"ops"}, customers: true}
		w.notifiers = []enforce.Notifier{mail}
		w.run(t, time.Minute)
		if got := w.sorted(); !slices.Equal(got, []string{"a suspend held×0", "b suspend done×1"}) {
			t.Errorf("outcomes %v", got)
		}
		for _, n := range w.notices {
			if n.Entity.ID == "a" && (n.Audience != notify.AudienceOperator || !strings.Contains(n.Body, "Please decide")) {
				t.Errorf("notice %+v", n)
			}
		}
		w = newWorld(off)
		w.cfg.AgeLimit = 0
		w.run(t, time.Minute)
		if got := w.outcomes(); !slices.Equal(got, []string{"c suspend done×1"}) {
			t.Errorf("with the limit off: %v", got)
		}
	})
}

func (w *world) sorted() []string {
	out := w.outcomes()
	slices.Sort(out)
	return out
}

type later time.Duration

func (l later) Error() string             { return "busy" }
func (l later) RetryAfter() time.Duration { return time.Duration(l) }

func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		fail    func(string, int) (bool, error)
		outcome string
		least   time.Duration
		most    time.Duration
	}{
		"succeeds at the third try": {func(_ string, try int) (bool, error) {
			if try < 3 {
				return true, errors.New("no")
			}
			return false, nil
		}, "a suspend done×3", 700 * time.Millisecond, 3 * time.Second},
		"is refused for good": {func(string, int) (bool, error) { return false, errors.New("gone") }, "a suspend failed×1", 0, 0},
		"waits as long as it is asked to": {func(_ string, try int) (bool, error) {
			if try < 2 {
				return true, later(90 * time.Second)
			}
			return false, nil
		}, "a suspend done×2", 90 * time.Second, 91 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
				w.platform.fail = c.fail
				began := time.Now()
				w.run(t, 5*time.Minute)
				if got := w.outcomes(); !slices.Equal(got, []string{c.outcome}) {
					t.Fatalf("outcomes %v, want %s", got, c.outcome)
				}
				if d := w.actions[0].Time.Sub(began); d < c.least || d > c.most {
					t.Errorf("it took %s", d)
				}
			})
		})
	}
}

func TestGivesUpAndTellsPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		w.platform.fail = func(string, int) (bool, error) { return true, errors.New("away") }
		mail := &receiver{name: "smtp", operators: []string{"ops"}}
		w.notifiers = []enforce.Notifier{mail}
		w.run(t, time.Hour)
		if len(w.actions) != 1 || w.actions[0].Outcome != enforce.OutcomeFailed || w.actions[0].Attempts < 30 {
			t.Errorf("actions %+v", w.actions)
		}
		if len(w.notices) != 2 || !strings.Contains(w.notices[1].Subject, "was not told") {
			t.Errorf("notices %+v", w.notices)
		}
		if w.committed[3] != 11 {
			t.Errorf("committed %v", w.committed)
		}
	})
}

func TestOneEntityKeepsItsOrderAndOthersDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var items []*decision.Record
		for i := range 200 {
			items = append(items, record(fmt.Sprintf("dec_t%d", i), fmt.Sprintf("acct-%d", i), schemas.VerdictThrottle),
				record(fmt.Sprintf("dec_s%d", i), fmt.Sprintf("acct-%d", i), schemas.VerdictSuspend))
		}
		w := newWorld(items...)
		w.cfg.Concurrency = 4
		w.platform.took = 50 * time.Millisecond
		w.platform.fail = func(entity string, _ int) (bool, error) {
			if entity == "acct-0" {
				return true, errors.New("stuck")
			}
			return false, nil
		}
		w.run(t, 10*time.Second) // 399 calls at 4 in 50 ms are 5 s, though acct-0 never succeeds
		if n := len(w.actions); n != 398 {
			t.Errorf("%d actions, want 398", n)
		}
		if w.platform.most != 4 {
			t.Errorf("%d calls at once, want 4", w.platform.most)
		}
		last := map[string]schemas.Verdict{}
		for _, a := range w.actions {
			if a.Verdict == schemas.VerdictSuspend && last[a.Entity.ID] != schemas.VerdictThrottle {
				t.Errorf("%s was suspended before it was throttled", a.Entity.ID)
			}
			last[a.Entity.ID] = a.Verdict
		}
		if w.committed[3] != 0 {
			t.Errorf("committed %v past an unfinished decision", w.committed)
		}
	})
}

func TestPendingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var items []*decision.Record
		for i := range 100 {
			items = append(items, record(fmt.Sprintf("dec_%d", i), fmt.Sprintf("acct-%d", i), schemas.VerdictSuspend))
		}
		w := newWorld(items...)
		w.cfg.Pending, w.cfg.GiveUp = 10, time.Hour
		w.platform.fail = func(string, int) (bool, error) { return true, errors.New("away") }
		w.run(t, time.Minute)
		if w.next > 11 {
			t.Errorf("%d decisions were fetched, 10 may be under way", w.next)
		}
	})
}

func TestOutcomesAreWrittenUntilTheyStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		w.sinkFails = 5
		w.run(t, time.Minute)
		if len(w.platform.calls) != 1 || len(w.actions) != 1 || w.committed[3] != 11 {
			t.Errorf("%d calls, %d actions, committed %v", len(w.platform.calls), len(w.actions), w.committed)
		}
	})
}

func TestStopInTheMiddleComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		w.platform.took = 5 * time.Second
		w.run(t, time.Second)
		if len(w.actions) != 0 || w.committed[3] != 0 {
			t.Errorf("cut short, but %v, committed %v", w.actions, w.committed)
		}
	})
}

func TestBadConfig(t *testing.T) {
	if err := enforce.New(enforce.Config{}, enforce.Deps{}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "enforce.concurrency") {
		t.Errorf("error %v", err)
	}
}
