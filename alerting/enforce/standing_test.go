package enforce_test

import (
	"slices"
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
