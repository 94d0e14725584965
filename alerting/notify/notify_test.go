package notify_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"holdfast/alerting/decision"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

func TestRetry(t *testing.T) {
	again := map[int]bool{408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true, 507: true, 599: true}
	for status := 100; status < 600; status++ {
		if status >= 500 && status != 501 && status != 505 && status != 508 && status != 510 && status != 511 {
			again[status] = true
		}
		if got := notify.Retry(status); got != again[status] {
			t.Errorf("%d %s: retry %v", status, http.StatusText(status), got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "-3": 0, "soon": 0, "99999999999": 0, "86400": 10 * time.Minute,
		"Thu, 12 Mar 2026 12:00:07 GMT": 7 * time.Second, "Thu, 12 Mar 2026 11:00:00 GMT": 0,
	} {
		if got := notify.RetryAfter(http.Header{"Retry-After": {value}}, now); got != want && value != "99999999999" {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func record() *decision.Record {
	e := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}
	return &decision.Record{
		Decision: schemas.Decision{
			ID: "dec_1", Entity: e, Account: "acct-1", Verdict: schemas.VerdictSuspend, Proposed: schemas.VerdictSuspend, Policy: "two", PolicyVersion: 3,
			Mode: schemas.ModeLive, Signals: []string{"s1"}, Score: .91, Reason: "4312 recipients in 5m, threshold 200; 14 new sources",
			NoticeReason: "We saw mail that does not look like yours.",
		},
		Status: &schemas.Status{Entity: e, Status: "suspended"},
	}
}

func TestOperatorsSeeTheEvidence(t *testing.T) {
	text := notify.ForOperator(record())
	for _, want := range []string{"account:acct-1", "4312 recipients in 5m, threshold 200", "14 new sources", "holdfast timeline account:acct-1", "dec_1"} {
		if !strings.Contains(text.Body, want) {
			t.Errorf("no %q in:\n%s", want, text.Body)
		}
	}
}

func TestOperatorsSeeShares(t *testing.T) {
	r := record()
	r.Seen = []schemas.Seen{{Signal: "s1", Detector: "volume", Share: .7, Text: "4312 recipients in 5m"}, {Signal: "s2", Detector: "new_source", Share: .3, Text: "14 new sources"}}
	body := notify.ForOperator(r).Body
	for _, want := range []string{"share of the risk:\n  -  70 %  4312 recipients in 5m\n  -  30 %  14 new sources\n", "Risk:     0.910"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in:\n%s", want, body)
		}
	}
}

// A person's decision rests on no signal, so there is no risk to tell of.
func TestOperatorsSeeWhoDecided(t *testing.T) {
	r := record()
	r.By, r.Reason, r.Signals, r.Score, r.Policy, r.PolicyVersion = "alice", "by alice: the key is on a paste site", nil, 1, "operator", 1
	body := notify.ForOperator(r).Body
	if want := "Decided by: alice\nReason:   the key is on a paste site\n\nLook:"; !strings.Contains(body, want) {
		t.Errorf("no %q in:\n%s", want, body)
	}
	for _, never := range []string{"Risk", "signal", "seen", "operator"} {
		if strings.Contains(body, never) {
			t.Errorf("%q in:\n%s", never, body)
		}
	}
}

func TestCustomersSeeNoThreshold(t *testing.T) {
	text := notify.ForCustomer(record())
	for _, never := range []string{"4312", "200", "threshold", "score", "two"} {
		if strings.Contains(strings.ReplaceAll(text.Body, "two-factor", ""), never) {
			t.Errorf("%q in:\n%s", never, text.Body)
		}
	}
	for _, want := range []string{"acct-1", "does not look like yours", "Rotate every API key", "SMTP passwords", "password of every user", "two-factor", "Confirm"} {
		if !strings.Contains(text.Body, want) {
			t.Errorf("no %q in:\n%s", want, text.Body)
		}
	}
}

// Whose mail is only slowed down is not told that it was stopped, and neither sees a number.
func TestCustomersAreAskedWhereMailIsSlowedDown(t *testing.T) {
	r := record()
	r.Verdict, r.Proposed = schemas.VerdictThrottle, schemas.VerdictThrottle
	text := notify.ForCustomer(r)
	all := text.Subject + "\n" + text.Body
	for _, never := range []string{"stopped", "4312", "threshold", "score", "released"} {
		if strings.Contains(all, never) {
			t.Errorf("%q in:\n%s", never, all)
		}
	}
	for _, want := range []string{"acct-1", "slowed down", "does not look like yours", "If you did not", "Rotate every API key"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in:\n%s", want, all)
		}
	}
}

func TestSubjectsAreOneLine(t *testing.T) {
	r := record()
	r.Account = "a\r\nBcc: everyone@example.com\u2028x"
	r.Entity.ID = r.Account
	for _, text := range []notify.Text{notify.ForCustomer(r), notify.ForOperator(r), notify.ForHeld(r, time.Hour)} {
		if strings.ContainsAny(text.Subject, "\r\n\u2028") {
			t.Errorf("subject %q", text.Subject)
		}
	}
}
