package notify

import (
	"testing"

	"holdfast/alerting/decision"
	"holdfast/schemas"
)

// A headline is read before the platform has confirmed, and long after: it is true at both
// times.
func TestHeadlinesAreTrueWhenever(t *testing.T) {
	for verdict, want := range map[schemas.Verdict]string{
		schemas.VerdictSuspend:  "Decided: suspend account:acct-1.",
		schemas.VerdictBlock:    "Decided: block account:acct-1.",
		schemas.VerdictThrottle: "Decided: throttle account:acct-1.",
		schemas.VerdictRelease:  "Decided: release account:acct-1.",
		schemas.VerdictReview:   "Please review account:acct-1.",
	} {
		r := decision.Record{Decision: schemas.Decision{Entity: schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}, Verdict: verdict}}
		if got := ForOperator(&r, nil).Subject; got != want {
			t.Errorf("%s: %q, want %q", verdict, got, want)
		}
	}
}
