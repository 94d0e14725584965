package enforce_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"holdfast/alerting/decision"
	"holdfast/alerting/enforce"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mailer() *receiver { return &receiver{name: "smtp", operators: []string{"ops"}, customers: true} }

func TestStopIsCarriedOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record("dec_1", "a", schemas.VerdictSuspend)
		w := newWorld(r, r)
		mail := mailer()
		w.notifiers = []enforce.Notifier{mail}
		w.pass(t, time.Minute)
		if diff := cmp.Diff([]string{"a suspend done×1"}, w.outcomes()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"smtp a ops sent", "smtp a owner@a sent"}, w.told()); diff != "" {
			t.Error(diff)
		}
		if w.committed != 2 {
			t.Errorf("committed %d", w.committed)
		}
		for _, n := range w.notices {
			if n.Audience == notify.AudienceCustomer && strings.Contains(n.Body, "4312") {
				t.Errorf("the customer is told a number:\n%s", n.Body)
			}
		}
		for range 2 { // also where the offset was never committed
			w.pass(t, time.Minute)
			w.committed = 0
		}
		if len(w.actions) != 1 || len(w.platform.calls) != 1 || len(mail.calls) != 2 {
			t.Errorf("what was carried out was done again: %v, %v, %v", w.actions, w.platform.calls, mail.calls)
		}
	})
}

func TestWhatIsNotCarriedOut(t *testing.T) {
	for name, change := range map[string]func(*decision.Record){
		"shadow":            func(r *decision.Record) { r.Mode = schemas.ModeShadow },
		"history":           func(r *decision.Record) { r.Mode = schemas.ModeHistory },
		"observe":           func(r *decision.Record) { r.Verdict, r.Status = schemas.VerdictObserve, nil },
		"a known stop":      func(r *decision.Record) { r.Status = nil },
		"old and not acted": func(r *decision.Record) { r.Status, r.Arrival = nil, time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := record("dec_1", "a", schemas.VerdictSuspend)
				change(r)
				w := newWorld(r)
				w.notifiers = []enforce.Notifier{mailer()}
				w.pass(t, time.Minute)
				if len(w.platform.calls)+len(w.outbox)+len(w.actions) != 0 || w.committed != 1 {
					t.Errorf("platform %v, outbox %v, committed %v", w.platform.calls, w.outbox, w.committed)
				}
			})
		})
	}
}

// A review changes nothing at the platform; operators hear of it unless they do not want to.
func TestReviewsAreToldToOperators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wanted := range []bool{true, false} {
			r := record("dec_1", "a", schemas.VerdictReview)
			r.Status.Status = "review"
			w := newWorld(r)
			if w.notifiers = []enforce.Notifier{mailer()}; !wanted {
				w.cfg.NotifyReviews = false
			}
			w.pass(t, time.Minute)
			if got := len(w.told()) == 1; got != wanted || len(w.platform.calls) != 0 {
				t.Errorf("wanted %v: told %v, platform %v", wanted, w.told(), w.platform.calls)
			}
		}
	})
}

func TestThrottlesThatStayAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		pending, braked bool
		want            []string
	}{
		"stays":   {want: []string{"smtp a ops sent", "smtp a owner@a sent"}},
		"pending": {pending: true},
		"braked":  {braked: true, want: []string{"smtp a ops sent"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := record("dec_1", "a", schemas.VerdictThrottle)
			r.Pending, r.Braked = c.pending, c.braked
			w := newWorld(r)
			w.notifiers = []enforce.Notifier{mailer()}
			w.pass(t, time.Minute)
			if got := w.told(); !slices.Equal(got, c.want) || len(w.platform.calls) != 1 {
				t.Errorf("%s: told %v, platform %v", name, got, w.platform.calls)
			}
		})
	}
}

func TestOldDecisionsAreHeldUntilAPersonDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, byHand, off := record("dec_1", "a", schemas.VerdictSuspend), record("dec_2", "b", schemas.VerdictSuspend), record("dec_3", "c", schemas.VerdictSuspend)
		old.Arrival, byHand.Arrival, off.Arrival = time.Now().Add(-7*time.Hour), time.Now().Add(-7*time.Hour), time.Now().Add(-7*time.Hour)
		byHand.By = "ann"
		w := newWorld(old, byHand)
		w.notifiers = []enforce.Notifier{mailer()}
		w.pass(t, time.Minute)
		got := w.outcomes()
		slices.Sort(got)
		if !slices.Equal(got, []string{"a suspend held×0", "b suspend done×1"}) {
			t.Errorf("outcomes %v", got)
		}
		for _, n := range w.notices {
			if n.Entity.ID == "a" && (n.Audience != notify.AudienceOperator || !strings.Contains(n.Body, "Please decide")) {
				t.Errorf("notice %+v", n)
			}
		}
		w.pass(t, 48*time.Hour) // neither a restart nor the reconcile carries it out
		if slices.Contains(w.platform.got(), "a suspended") {
			t.Fatal("a decision that was held was carried out")
		}
		w.run(t, func() {
			w.retry("a")
			time.Sleep(time.Minute)
		})
		if got := w.outcomes(); got[len(got)-1] != "a suspend done×1" {
			t.Errorf("after a person said so: %v", got)
		}
		w = newWorld(off)
		w.cfg.AgeLimit = 0
		w.pass(t, time.Minute)
		if got := w.outcomes(); !slices.Equal(got, []string{"c suspend done×1"}) {
			t.Errorf("with the limit off: %v", got)
		}
	})
}

type later time.Duration

func (l later) Error() string             { return "busy" }
func (l later) RetryAfter() time.Duration { return time.Duration(l) }

func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		fail     func(string, string, int) (bool, error)
		outcomes []string
		least    time.Duration
		most     time.Duration
	}{
		"succeeds at the third try": {func(_, _ string, try int) (bool, error) {
			if try < 3 {
				return true, errors.New("no")
			}
			return false, nil
		}, []string{"a suspend failing×1", "a suspend done×3"}, 700 * time.Millisecond, 3 * time.Second},
		"waits as long as it is asked to": {func(_, _ string, try int) (bool, error) {
			if try < 2 {
				return true, later(90 * time.Second)
			}
			return false, nil
		}, []string{"a suspend failing×1", "a suspend done×2"}, 90 * time.Second, 91 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
				w.platform.fail = c.fail
				began := time.Now()
				w.pass(t, 5*time.Minute)
				if got := w.outcomes(); !slices.Equal(got, c.outcomes) {
					t.Fatalf("outcomes %v, want %s", got, c.outcomes)
				}
				if d := w.actions[1].Time.Sub(began); d < c.least || d > c.most {
					t.Errorf("it took %s", d)
				}
				if n := len(w.platform.good); n != 1 || w.platform.ids[0] != w.platform.ids[len(w.platform.ids)-1] {
					t.Errorf("attempts had the ids %v", w.platform.ids)
				}
			})
		})
	}
}

// The receiver is away for three days and through a restart; nobody gives up, the pauses
// stay below the bound, operators are paged once and told when it is over.
func TestNothingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend), record("dec_2", "b", schemas.VerdictSuspend))
		mail := mailer()
		w.notifiers = []enforce.Notifier{mail}
		w.platform.fail = away
		for range 3 {
			w.pass(t, 24*time.Hour)
		}
		if got := w.outcomes(); len(got) != 2 || strings.Contains(fmt.Sprint(got), "done") {
			t.Errorf("one outcome each, not one an attempt: %v", got)
		}
		if s := w.state(t, "a"); s.Receivers["platform"].Failing == nil || s.Receivers["platform"].Failing.Error != "away" || time.Until(s.Receivers["platform"].Failing.Next) > 2*time.Hour {
			t.Errorf("what is kept does not say why: %+v", s.Receivers["platform"])
		}
		paged := func() (n, over int) {
			for _, x := range w.notices {
				n += strings.Count(x.Subject, "does not confirm")
				over += strings.Count(x.Subject, "confirms again")
				if x.Audience == notify.AudienceCustomer {
					t.Errorf("the customer was told of what is not in force: %s", x.Body)
				}
			}
			return n, over
		}
		if n, over := paged(); n != 1 || over != 0 {
			t.Errorf("paged %d times, %d times over", n, over)
		}
		// Three processes began and each saw one outage.
		if n := w.logs.count("level=WARN"); n != 3 {
			t.Errorf("%d warnings of one outage in three processes", n)
		}
		w.run(t, func() {
			w.platform.set(nil)
			began := time.Now()
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			for _, a := range w.actions {
				if a.Outcome == enforce.OutcomeDone && a.Time.Sub(began) > time.Minute {
					t.Errorf("%s was told %s after the outage", a.Entity, a.Time.Sub(began))
				}
			}
		})
		if got := w.outcomes(); len(got) != 4 {
			t.Errorf("outcomes %v", got)
		}
		over := 0
		for _, x := range w.notices {
			over += strings.Count(x.Subject, "confirms again")
		}
		if over != 1 || !slices.Contains(w.told(), "smtp a owner@a sent") || !slices.Contains(w.told(), "smtp b owner@b sent") {
			t.Errorf("told %v", w.told())
		}
	})
}

func TestRefusedAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictThrottle), record("dec_2", "a", schemas.VerdictSuspend), record("dec_3", "b", schemas.VerdictSuspend))
		w.notifiers = []enforce.Notifier{mailer()}
		refuse := func(entity, what string, _ int) (bool, error) {
			if what == "throttled" || entity == "b" {
				return false, errors.New("422 unknown word")
			}
			return false, nil
		}
		w.platform.fail = refuse
		w.pass(t, time.Hour)
		got := w.outcomes()
		slices.Sort(got)
		if !slices.Equal(got, []string{"a suspend done×1", "a throttle refused×1", "b suspend refused×1"}) {
			t.Errorf("a refused change holds up the next, or is repeated: %v", got)
		}
		pages := 0
		for _, n := range w.notices {
			pages += strings.Count(n.Subject, "refuses that account:b")
		}
		if pages != 1 {
			t.Errorf("%d pages about what was refused", pages)
		}
		w.run(t, func() {
			time.Sleep(25 * time.Hour) // the reconcile
			w.platform.set(nil)
			time.Sleep(25 * time.Hour)
		})
		if got := w.outcomes(); got[len(got)-1] != "b suspend done×3" {
			t.Errorf("after it was fixed: %v", got)
		}
	})
}

type gone struct{}

func (gone) Error() string { return "410" }
func (gone) Gone() bool    { return true }

func TestGoneIsPagedAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend), record("dec_2", "b", schemas.VerdictSuspend))
		w.notifiers = []enforce.Notifier{mailer()}
		w.platform.fail = func(_, _ string, try int) (bool, error) {
			if try < 5 {
				return true, gone{}
			}
			return false, nil
		}
		w.pass(t, 10*time.Minute)
		pages := 0
		for _, n := range w.notices {
			pages += strings.Count(n.Subject, "gone for good")
		}
		if pages != 1 || len(w.outcomes()) != 4 {
			t.Errorf("%d pages, outcomes %v", pages, w.outcomes())
		}
	})
}

// The newer change goes in the place of the older where that fails, and at once.
func TestANewerChangeGoesInstead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictThrottle))
		w.notifiers = []enforce.Notifier{mailer()}
		w.platform.fail = func(_, what string, _ int) (bool, error) {
			if what == "throttled" {
				return true, errors.New("cannot do that")
			}
			return false, nil
		}
		w.run(t, func() {
			time.Sleep(200 * time.Millisecond)
			began := time.Now()
			w.add(record("dec_2", "a", schemas.VerdictSuspend))
			time.Sleep(time.Minute)
			synctest.Wait()
			if a := w.actions[len(w.actions)-1]; a.Outcome != enforce.OutcomeDone || a.Time.Sub(began) > time.Second {
				t.Errorf("the stop waited for the throttle: %+v", w.actions)
			}
		})
		want := []string{"a throttle failing×1", "a throttle superseded×2", "a suspend done×1"}
		if got := w.outcomes(); !slices.Equal(got, want) {
			t.Errorf("outcomes %v, want %v", got, want)
		}
	})
}

// A stop that was released before it was in force is not carried out any more, and the
// account's people hear of neither.
func TestAReleaseSupersedesAStopThatNeverWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		w.notifiers = []enforce.Notifier{mailer()}
		w.platform.fail = away
		w.run(t, func() {
			time.Sleep(time.Hour)
			w.add(record("dec_2", "a", schemas.VerdictRelease))
			time.Sleep(time.Hour)
			w.platform.set(nil)
			time.Sleep(time.Hour)
		})
		if n := len(w.platform.good); n != 1 {
			t.Errorf("%d changes were taken", n)
		}
		if got := w.outcomes(); !slices.Contains(got, "a release done×"+got[len(got)-1][len("a release done×"):]) || !strings.Contains(fmt.Sprint(got), "a suspend superseded") {
			t.Errorf("outcomes %v", got)
		}
		if slices.Contains(w.told(), "smtp a owner@a sent") {
			t.Errorf("told %v", w.told())
		}
		// Next time all of it happens, and they are told.
		w.add(record("dec_3", "a", schemas.VerdictSuspend), record("dec_4", "a", schemas.VerdictRelease))
		w.pass(t, time.Minute)
		if n := strings.Count(fmt.Sprint(w.told()), "owner@a sent"); n != 2 {
			t.Errorf("told %v", w.told())
		}
	})
}

// Neither a mail server that hangs nor one receiver's outage holds up another.
func TestChannelsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		w := newWorld()
		for i := range n {
			w.add(record(fmt.Sprintf("dec_%d", i), fmt.Sprintf("acct-%d", i), schemas.VerdictSuspend))
		}
		mail, hook := mailer(), &receiver{name: "operators", operators: []string{"hook"}}
		mail.took = time.Hour // until the attempt's end
		second := &receiver{name: "second", fail: away}
		w.platforms = append(w.platforms, second)
		w.notifiers = []enforce.Notifier{mail, hook}
		w.platform.took = 10 * time.Millisecond
		w.pass(t, 10*time.Second) // 5,000 calls at 16 in 10 ms are 3.1 s
		if len(w.platform.good) != n || w.platform.most != w.cfg.Concurrency {
			t.Errorf("%d of %d changes were taken, %d at once", len(w.platform.good), n, w.platform.most)
		}
		if len(hook.good) != n {
			t.Errorf("%d of %d notices were taken", len(hook.good), n)
		}
		if w.committed != n {
			t.Errorf("committed %d", w.committed)
		}
		if slices.ContainsFunc(w.outbox, func(l *notify.Letter) bool { return l.Audience == notify.AudienceCustomer }) {
			t.Error("customers were told though one platform has not confirmed")
		}
	})
}

func TestOneEntityKeepsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 200 {
			w.add(record("dec_1", fmt.Sprintf("acct-%d", i), schemas.VerdictThrottle), record("dec_2", fmt.Sprintf("acct-%d", i), schemas.VerdictSuspend))
		}
		w.cfg.Concurrency = 4
		w.platform.took = 50 * time.Millisecond
		w.pass(t, 10*time.Second) // 400 calls at 4 in 50 ms are 5 s
		last := map[string]string{}
		for _, c := range w.platform.calls {
			account, status, _ := strings.Cut(c, " ")
			if status == "suspended" && last[account] != "throttled" {
				t.Errorf("%s was suspended before it was throttled", account)
			}
			last[account] = status
		}
		if n := len(w.actions); n != 400 {
			t.Errorf("%d actions, want 400", n)
		}
	})
}

func TestUndeliveredIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.cfg.Undelivered = 10
		w.platform.fail = away
		w.run(t, func() {
			for i := range 100 {
				w.add(record(fmt.Sprintf("dec_%d", i), fmt.Sprintf("acct-%d", i), schemas.VerdictSuspend))
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if w.committed > 12 {
				t.Errorf("%d decisions were fetched, 10 may wait", w.committed)
			}
			w.platform.set(nil)
			time.Sleep(5 * time.Minute)
		})
		if len(w.platform.good) != 100 {
			t.Errorf("%d of 100 were told in the end", len(w.platform.good))
		}
	})
}

func TestOutcomesAreWrittenUntilTheyStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		w.sinkFails = 5
		w.pass(t, time.Minute)
		if len(w.platform.calls) != 1 || len(w.actions) != 1 || w.committed != 1 {
			t.Errorf("%d calls, %d actions, committed %v", len(w.platform.calls), len(w.actions), w.committed)
		}
	})
}

// However often the process dies, before and after each thing that it writes: in the end
// every change is confirmed, and what is known to be confirmed is not told again.
func TestKillsLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for kill := range 40 {
			w := newWorld(record("dec_1", "a", schemas.VerdictThrottle), record("dec_2", "a", schemas.VerdictSuspend), record("dec_3", "b", schemas.VerdictSuspend),
				record("dec_4", "b", schemas.VerdictRelease))
			w.notifiers = []enforce.Notifier{mailer()}
			writes := 0
			for range 6 {
				ctx, die := context.WithCancel(t.Context())
				w.cut = func(string) {
					if writes++; writes%(kill+1) == kill && kill > 0 {
						die()
					}
				}
				w.runUntil(t, ctx, time.Minute)
			}
			w.cut = nil
			w.pass(t, time.Minute)
			if len(w.platform.good) != 4 {
				t.Fatalf("kill %d: %d of 4 changes were taken: %v", kill, len(w.platform.good), w.platform.calls)
			}
			done := map[string]bool{}
			for _, a := range w.actions {
				done[a.ID] = done[a.ID] || a.Outcome == enforce.OutcomeDone
			}
			if len(done) != 4 || !done[w.platform.ids[0]] {
				t.Fatalf("kill %d: actions %v", kill, w.outcomes())
			}
			for _, to := range []string{"smtp a owner@a sent", "smtp b owner@b sent", "smtp a ops sent", "smtp b ops sent"} {
				if !slices.Contains(w.told(), to) {
					t.Fatalf("kill %d: %s is missing: %v", kill, to, w.told())
				}
			}
			calls := len(w.platform.calls)
			w.pass(t, time.Minute)
			if len(w.platform.calls) != calls {
				t.Fatalf("kill %d: what was confirmed was told again", kill)
			}
		}
	})
}

// A new owner has taken over: nothing more is committed, and Run says so.
func TestAFormerOwnerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		w.fenced = true
		e := enforce.New(w.cfg, enforce.Deps{Source: &source{w, 0}, Store: w, Sink: w, Platforms: w.platforms})
		if err := e.Run(t.Context()); !errors.Is(err, enforce.ErrLost) {
			t.Errorf("run ended with %v", err)
		}
		if w.committed != 0 || len(w.platform.calls) != 0 {
			t.Errorf("committed %d, told %v", w.committed, w.platform.calls)
		}
	})
}

func TestReconcile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend), record("dec_2", "b", schemas.VerdictSuspend), record("dec_3", "b", schemas.VerdictRelease))
		w.notifiers = []enforce.Notifier{mailer()}
		w.pass(t, 80*time.Hour)
		n := strings.Count(fmt.Sprint(w.platform.calls), "a suspended")
		if n < 3 || n > 5 || strings.Count(fmt.Sprint(w.platform.calls), "b ") != 2 || len(w.actions) != 3 {
			t.Errorf("in 80 hours told %v, outcomes %v", w.platform.calls, w.outcomes())
		}

		asked := 0
		w = newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		w.notifiers = []enforce.Notifier{mailer()}
		w.platform.reports = func(string) (string, error) {
			if asked++; asked == 2 {
				return "active", nil
			}
			return "suspended", nil
		}
		w.pass(t, 80*time.Hour)
		want := []string{"a suspend done×1", "a suspend failing×1", "a suspend done×2"}
		if got := w.outcomes(); !slices.Equal(got, want) || len(w.platform.calls) != 2 || asked < 3 {
			t.Errorf("asked %d times, told %v, outcomes %v, want %v", asked, w.platform.calls, got, want)
		}
		if n := strings.Count(fmt.Sprint(w.told()), "owner@a"); n != 1 {
			t.Errorf("the customer was told %d times", n)
		}
	})
}

// Without a platform nobody confirms: people are told what was decided and no more.
func TestWithoutAPlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		w.platforms = nil
		w.notifiers = []enforce.Notifier{mailer()}
		w.pass(t, time.Minute)
		if len(w.notices) != 2 || w.state(t, "a").Last.Status != "suspended" {
			t.Errorf("told %v", w.told())
		}
		for _, n := range w.notices {
			if strings.Contains(n.Body, "no mail is sent") || strings.Contains(n.Subject, "has been") {
				t.Errorf("nobody knows that:\n%s\n%s", n.Subject, n.Body)
			}
		}
		// One that is configured later is told.
		w.platforms = []enforce.Platform{w.platform}
		w.pass(t, time.Minute)
		if !slices.Equal(w.platform.calls, []string{"a suspended"}) || len(w.notices) != 2 {
			t.Errorf("told %v, %v", w.platform.calls, w.told())
		}
	})
}

func TestNoticesAreTriedForHoursAndThenRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		mail := mailer()
		mail.fail = func(_, what string, try int) (bool, error) {
			switch {
			case what == "operator ops":
				return true, errors.New("greylisted")
			case try < 3:
				return true, errors.New("later")
			}
			return false, nil
		}
		w.notifiers = []enforce.Notifier{mail}
		w.pass(t, time.Hour)
		if got := w.told(); len(got) != 0 {
			t.Errorf("one entity's notices go in their order: %v", got)
		}
		w.pass(t, 12*time.Hour)
		if got := w.told(); !slices.Equal(got, []string{"smtp a ops failed", "smtp a owner@a sent"}) {
			t.Errorf("told %v", got)
		}
		for _, n := range w.notices {
			if n.Outcome == enforce.OutcomeFailed && n.Detail != "greylisted" {
				t.Errorf("%+v", n)
			}
		}
		if w.sent["smtp"] != 2 || len(w.platform.calls) != 1 {
			t.Errorf("committed %v, platform %v", w.sent, w.platform.calls)
		}
	})
}

func TestMetricsTellOfWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		w.platform.fail = away
		w.run(t, func() {
			time.Sleep(90 * time.Second)
			synctest.Wait()
			err := testutil.GatherAndCompare(w.reg, strings.NewReader(`
# HELP holdfast_enforce_oldest_undelivered_seconds Age of the oldest change that the receiver has yet to confirm; 0 where there is none.
# TYPE holdfast_enforce_oldest_undelivered_seconds gauge
holdfast_enforce_oldest_undelivered_seconds{channel="platform"} 90
# HELP holdfast_enforce_pending Entities whose status a receiver has yet to confirm, and notices under way, by receiver or channel.
# TYPE holdfast_enforce_pending gauge
holdfast_enforce_pending{channel="platform"} 1
`), "holdfast_enforce_oldest_undelivered_seconds", "holdfast_enforce_pending")
			if err != nil {
				t.Error(err)
			}
		})
	})
}

func TestBadConfig(t *testing.T) {
	if err := enforce.New(enforce.Config{}, enforce.Deps{}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "enforce.concurrency") {
		t.Errorf("error %v", err)
	}
}

// Both changes of an entity are tried in every round for a while, the older first, so that
// a receiver which stumbles gets both under their own ids; then the older is superseded.
func TestOlderChangesAreTriedForAWhile(t *testing.T) {
	for tries, want := range map[int]int{4: 2, 1000: 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(record("dec_1", "a", schemas.VerdictThrottle), record("dec_2", "a", schemas.VerdictSuspend))
			w.platform.fail = func(_, what string, try int) (bool, error) {
				if try <= tries && (what == "throttled" || try <= 4) || what == "suspended" && try < 10 && tries == 1000 {
					return true, errors.New("not now")
				}
				return false, nil
			}
			w.pass(t, time.Hour)
			if got := w.outcomes(); len(w.platform.good) != want || !strings.HasPrefix(got[len(got)-1], "a suspend done") {
				t.Errorf("%d tries: %d changes were taken: %v", tries, len(w.platform.good), got)
			}
		})
	}
}
