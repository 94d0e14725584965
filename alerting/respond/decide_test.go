package respond_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/schemas"
)

// A decision names each signal with its share of the risk, and quotes the gravest of
// each detector once, first what adds most.
func TestDecisionSaysWhatEachSignalAdds(t *testing.T) {
	b := newInbox(t, testConfig())
	say := func(text string, score float64) func(*schemas.Signal) {
		return func(s *schemas.Signal) { s.Evidence.Text, s.Score = text, score }
	}
	b.signal(sig("b", alice, net, medium, noon, say("3 new sources", .5)))
	b.signal(sig("a1", alice, vol, medium, noon.Add(time.Minute), say("60 recipients", .6)))
	b.signal(sig("a2", alice, vol, high, noon.Add(time.Minute), say("500 recipients", .8)))
	for _, r := range b.decisions() {
		if r.Policy != "account-two-families" || r.Proposed != schemas.VerdictSuspend {
			continue
		}
		if diff := cmp.Diff([]string{"a2", "a1", "b"}, r.Signals); diff != "" {
			t.Error(diff)
		}
		// −ln(1 − .8) = 1.609; −ln(1 − .5) = .693, less a minute's decay
		if len(r.Shares) != 3 || math.Abs(r.Shares[0]-.699) > .001 || r.Shares[1] != 0 || math.Abs(r.Shares[0]+r.Shares[2]-1) > 1e-9 {
			t.Errorf("shares %v", r.Shares)
		}
		if math.Abs(r.Score-.9) > .001 {
			t.Errorf("score %v, want the risk of both", r.Score)
		}
		if want := "account:alice: 500 recipients [70 %]; 3 new sources [30 %]"; r.Reason != want {
			t.Errorf("reason %q, want %q", r.Reason, want)
		}
		return
	}
	t.Fatal("nobody was stopped")
}

func TestDecisionQuotesFive(t *testing.T) {
	b := newInbox(t, testConfig())
	for i := range 9 {
		b.signal(sig(fmt.Sprintf("s%d", i), alice, vol, low, noon, func(s *schemas.Signal) {
			s.Detector, s.Evidence.Text = fmt.Sprintf("d%d", i), "evidence of "+strings.Repeat("x", i+1)
		}))
	}
	b.signal(sig("last", alice, net, high, noon))
	r := b.decisions()[0]
	if len(r.Seen) != 5 || r.Seen[0].Signal != "last" || len(r.Signals) != 10 || len(r.Shares) != 10 {
		t.Errorf("%d sentences, %d signals, %d shares, first %+v", len(r.Seen), len(r.Signals), len(r.Shares), r.Seen[0])
	}
	if strings.Count(r.Reason, "evidence of") != 5 {
		t.Errorf("reason %q", r.Reason)
	}
}

// Two detectors that say the same but for the numbers are read once; the decision
// still names both.
func TestDecisionSaysNothingTwice(t *testing.T) {
	b := newInbox(t, testConfig())
	b.signal(sig("a", addr, src, medium, noon, func(s *schemas.Signal) { s.Detector, s.Evidence.Text = "password_spray", "6 failed logins at 6 users" }))
	b.signal(sig("b", addr, src, high, noon, func(s *schemas.Signal) {
		s.Detector, s.Evidence.Text, s.Certain = "credential_stuffing", "20 failed logins at 20 users", true
	}))
	r := b.decisions()[len(b.decisions())-1]
	if len(r.Seen) != 1 || r.Seen[0].Signal != "b" || math.Abs(r.Seen[0].Share-1) > 1e-9 || len(r.Signals) != 2 {
		t.Errorf("%+v of %v", r.Seen, r.Signals)
	}
	if r.Reason != "20 failed logins at 20 users" {
		t.Errorf("reason %q", r.Reason)
	}
}

// A weak signal that comes after does not make a grave one of two days before a
// case again; a grave one does.
func TestEpisodeIsTheGravests(t *testing.T) {
	border := time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	b := newInbox(t, testConfig())
	b.signal(sig("a", alice, vol, high, border.Add(-time.Hour)))
	b.signal(sig("b", alice, vol, medium, border.Add(time.Hour)))
	if n := len(b.decisions()); n != 1 {
		t.Fatalf("%d decisions after a weaker signal, want the first alone: %v", n, b.verdicts())
	}
	b.signal(sig("c", alice, vol, high, border.Add(2*time.Hour)))
	if n := len(b.decisions()); n != 2 {
		t.Errorf("%d decisions after a signal as grave, want 2: %v", n, b.verdicts())
	}
}
