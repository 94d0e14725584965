package respond_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/schemas"
)

// What sources of evidence alone show, however grave, asks a person and does nothing else:
// no status, no stop, no throttle, no proposal, and nothing that is live is decided by it.
func TestEvidenceOnlyAsks(t *testing.T) {
	b := newInbox(t, testConfig())
	b.onTrial(sig("a", alice, vol, schemas.SeverityCritical, noon), schemas.EvidenceRun)
	b.onTrial(sig("b", alice, net, schemas.SeverityCritical, noon.Add(time.Minute)), schemas.EvidenceRun)
	asked := 0
	for _, o := range b.outs {
		if o.Kind != schemas.KindDecision {
			t.Errorf("evidence causes a %s", o.Kind)
		}
	}
	for _, r := range b.decisions() {
		if r.Verdict.Rank() > schemas.VerdictReview.Rank() || r.Status != nil || r.Page || r.Pending || len(r.Contacts) > 0 || r.Trial != schemas.EvidenceRun {
			t.Errorf("evidence decides %+v", r)
		}
		if r.Mode == schemas.ModeLive && r.Verdict == schemas.VerdictReview {
			if asked++; !strings.Contains(r.Reason, "evidence only") {
				t.Errorf("the reason does not say where it comes from: %s", r.Reason)
			}
		}
	}
	if asked == 0 {
		t.Error("nobody is asked")
	}
}

// The same live signals give the same outputs, whatever evidence comes before and in
// between: it tips no policy and takes the place of no decision.
func TestEvidenceChangesNothingLive(t *testing.T) {
	live := func(evidence bool) (out []string) {
		b := newInbox(t, testConfig())
		forge := func(id string, at time.Time) {
			if evidence {
				b.onTrial(sig(id, alice, vol, schemas.SeverityCritical, at), schemas.EvidenceRun)
				b.onTrial(sig(id+"x", alice, net, high, at.Add(4*time.Minute)), schemas.EvidenceRun)
				b.onTrial(sig(id+"y", alice, net, schemas.SeverityCritical, at.Add(-47*time.Hour)), schemas.EvidenceRun)
			}
		}
		forge("a", noon.Add(-time.Hour)) // with the ids of what is to come
		forge("b", noon.Add(-time.Hour))
		b.signal(sig("a", alice, vol, high, noon))
		forge("c", noon.Add(30*time.Second))
		b.restart()
		b.signal(sig("b", alice, net, medium, noon.Add(time.Minute)))
		forge("d", noon.Add(2*time.Minute))
		b.signal(sig("c", alice, net, high, noon.Add(3*time.Minute)))
		for _, o := range b.outs {
			if o.Kind == schemas.KindDecision && strings.Contains(string(o.Value), schemas.EvidenceRun) {
				continue
			}
			out = append(out, string(o.Kind)+" "+o.ID+" "+string(o.Value))
		}
		return out
	}
	without, with := live(false), live(true)
	if diff := cmp.Diff(without, with); diff != "" {
		t.Errorf("forged evidence changes what is live (-without +with):\n%s", diff)
	}
	if !slices.ContainsFunc(without, func(s string) bool { return strings.Contains(s, "suspend") }) {
		t.Error("nobody was stopped, so that the test says nothing")
	}
}

// History stays history: what happened long ago asks nobody.
func TestOldEvidenceAsksNobody(t *testing.T) {
	b := newInbox(t, testConfig())
	old := sig("a", alice, vol, schemas.SeverityCritical, noon)
	old.Origin = schemas.OriginImport
	b.onTrial(old, schemas.EvidenceRun)
	for _, r := range b.decisions() {
		if r.Mode == schemas.ModeLive {
			t.Errorf("imported evidence decides %+v", r)
		}
	}
}
