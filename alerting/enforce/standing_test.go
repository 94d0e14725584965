package enforce_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"holdfast/alerting/decision"
	"holdfast/alerting/enforce"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// A revoked credential and probation's ramp are carried out and kept up as stops are, and the
// account's people are told of a release once, not at each step of the ramp.
func TestRevokedCredentialsAndTheRampAreCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := func(id string, v schemas.Verdict, status string, revoked []string, perDay int64) *decision.Record {
			r := record(id, "a", v)
			r.Status.Status, r.Status.Revoked, r.Status.PerDay = status, revoked, perDay
			return r
		}
		w := newWorld(step("dec_1", schemas.VerdictRevoke, "revoked", []string{"key-2"}, 0))
		mail := mailer()
		w.notifiers = []enforce.Notifier{mail}
		w.pass(t, time.Minute)
		w.add(step("dec_2", schemas.VerdictSuspend, "suspended", []string{"key-2"}, 0))
		w.pass(t, time.Minute)
		w.add(step("dec_3", schemas.VerdictRelease, "active", nil, 100))
		w.pass(t, time.Minute)
		w.add(step("dec_4", schemas.VerdictObserve, "active", nil, 250))
		w.pass(t, time.Minute)
		if s := w.state(t, "a"); len(s.Changes) != 1 {
			t.Errorf("probation is forgotten: %+v", s)
		}
		w.platform.reports = func(string) (string, error) { return "active", nil }
		w.add(step("dec_5", schemas.VerdictRelease, "active", nil, 500)) // also where a step is called a release
		w.pass(t, 3*24*time.Hour)
		w.add(step("dec_6", schemas.VerdictObserve, "active", nil, 0))
		w.pass(t, time.Minute)

		var got [][]schemas.Act
		for _, c := range w.platform.changes {
			got = append(got, c.Acts)
		}
		a := "account:a"
		want := [][]schemas.Act{
			{{Do: "revoke_credential", Object: "key-2", Inverse: "restore_credential"}},
			{{Do: "suspend", Object: a, Inverse: "release"}, {Do: "end_sessions", Object: a}, {Do: "hold_queue", Object: a, Inverse: "release"},
				{Do: "revoke_credential", Object: "key-2", Inverse: "restore_credential"}},
			{{Do: "release", Object: a}, {Do: "set_limit", Object: a, PerDay: 100, Inverse: "release"}},
			{{Do: "release", Object: a}, {Do: "set_limit", Object: a, PerDay: 250, Inverse: "release"}},
			{{Do: "release", Object: a}, {Do: "set_limit", Object: a, PerDay: 500, Inverse: "release"}},
			{{Do: "release", Object: a}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		customer := 0
		for _, n := range w.notices {
			if n.Audience == "customer" {
				customer++
			}
		}
		if customer != 3 { // the revoked credential, the stop, the release
			t.Errorf("the customer was told %d times: %v", customer, w.told())
		}
		if s := w.state(t, "a"); len(s.Changes) != 0 {
			t.Errorf("after probation something is kept: %+v", s)
		}
	})
}

// Where a throttle runs out and a review is left, the platform hears that the account is
// active: it knows no review.
func TestAReviewThatTakesTheThrottlesPlaceEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		review := record("dec_2", "a", schemas.VerdictReview)
		review.Status.Status = "review"
		w := newWorld(record("dec_1", "a", schemas.VerdictThrottle), review)
		w.pass(t, 3*24*time.Hour)
		if got := w.platform.got(); !slices.Equal(got, []string{"a throttled", "a active"}) {
			t.Errorf("told %v", got)
		}
	})
}

// The platform is asked for all that it may know: its status, its limit, its revoked
// credentials. What it does not say is not compared.
func TestWhatAReportLeavesOutIsNotCompared(t *testing.T) {
	c := schemas.ChangeOf(&schemas.Status{Entity: schemas.Entity{Kind: "account", ID: "a"}, Status: "revoked", Revoked: []string{"b", "a"}, PerDay: 5})
	for text, ok := range map[string]bool{
		`{"status":"revoked"}`: true, `{"status":"active"}`: false, `{"status":"revoked","revoked":["a","b"],"per_day":5}`: true,
		`{"status":"revoked","revoked":["a"]}`: false, `{"status":"revoked","per_day":6}`: false,
	} {
		if what := report(t, text).Differs(&c); (what == "") != ok {
			t.Errorf("%s: %q", text, what)
		}
	}
}

func report(t *testing.T, text string) *notify.Report {
	t.Helper()
	r := new(notify.Report)
	if err := json.Unmarshal([]byte(text), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// stopper can stop an entity and nothing less, as a provider's switch is.
type stopper struct{ *receiver }

func (stopper) Takes(s *schemas.Status, stopped bool) bool { return s.Status == "suspended" || stopped }

// Who can only stop hears of stops and of their ends, and of nothing else, also after a kill
// between a stop and its record, and is asked for nothing that it was not told.
func TestAReceiverThatCanOnlyStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ses := stopper{&receiver{name: "ses"}}
		w := newWorld(record("dec_1", "a", schemas.VerdictThrottle), record("dec_6", "b", schemas.VerdictThrottle))
		w.platforms = []enforce.Platform{ses}
		mail := mailer()
		w.notifiers = []enforce.Notifier{mail}
		w.pass(t, 3*24*time.Hour)
		if got := ses.got(); len(got) != 0 || len(w.actions) != 0 {
			t.Errorf("throttles: told %v, actions %v", got, w.actions)
		}
		if got := w.told(); !slices.Equal(got, []string{"smtp a ops sent", "smtp a owner@a sent", "smtp b ops sent", "smtp b owner@b sent"}) {
			t.Errorf("notices of what nobody confirms: %v", got)
		}
		w.add(record("dec_2", "a", schemas.VerdictSuspend))
		w.pass(t, time.Minute)
		w.add(record("dec_3", "a", schemas.VerdictThrottle))
		w.pass(t, time.Minute)
		w.add(record("dec_4", "a", schemas.VerdictRelease), record("dec_7", "b", schemas.VerdictRelease))
		w.pass(t, time.Minute)
		if got := ses.got(); !slices.Equal(got, []string{"a suspended", "a throttled"}) {
			t.Errorf("told %v", got)
		}

		lost := newWorld(record("dec_1", "a", schemas.VerdictSuspend))
		lost.platforms = []enforce.Platform{ses}
		ses.set(func(string, string, int) (bool, error) { return true, errors.New("the answer was lost") })
		lost.pass(t, time.Minute)
		ses.set(nil)
		n := len(ses.got())
		lost.add(record("dec_2", "a", schemas.VerdictRelease))
		lost.pass(t, time.Minute)
		if got := ses.got()[n:]; !slices.Equal(got, []string{"a active"}) {
			t.Errorf("after a stop whose answer was lost: %v", got)
		}
	})
}

// Nobody hears of the end of a stop that was never in force, also where two receivers confirm
// that end at the same moment.
func TestAnEndThatTwoConfirmIsNotToldWithoutItsBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 200 {
			a := fmt.Sprintf("acct-%d", i)
			w.add(record(fmt.Sprintf("dec_%d", 2*i+1), a, schemas.VerdictSuspend), record(fmt.Sprintf("dec_%d", 2*i+2), a, schemas.VerdictRelease))
		}
		w.cfg.Concurrency = 200
		other := &receiver{name: "other"}
		w.platforms = append(w.platforms, other)
		for _, r := range []*receiver{w.platform, other} {
			r.set(func(_, what string, _ int) (bool, error) {
				return true, map[string]error{"suspended": errors.New("away")}[what]
			})
			r.took = time.Second
		}
		w.notifiers = []enforce.Notifier{mailer()}
		w.pass(t, time.Minute)
		for _, told := range w.told() {
			if !strings.Contains(told, " ops ") {
				t.Error(told)
			}
		}
	})
}
