package respond

import (
	"strconv"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// answer folds in the gate's word. The proposed stop and the stops that waited
// with it are decided now. An answer to a proposal that a person has overtaken
// changes nothing.
func (w *work) answer() (bool, error) {
	var a schemas.Answer
	if err := json.Unmarshal(w.in.Value, &a); err != nil {
		return false, &schemas.Error{Reason: schemas.ReasonNotJSON, Record: w.in.ID, What: "answer cannot be read: " + err.Error()}
	}
	if a.Entity != w.entity {
		return false, &schemas.Error{Reason: schemas.ReasonWrongKey, Record: a.ID, Field: "entity", What: "is not the record's key"}
	}
	if len(w.st.Pending) == 0 || w.st.Pending[0].Decision.ID != a.Decision {
		return false, nil
	}
	w.now = a.Time
	w.adopt()
	waiting := w.st.Pending
	w.st.Pending = nil
	for i, p := range waiting {
		d := p.Decision
		if a.Go {
			w.enact(d, note{}, &p.Findings)
			continue
		}
		w.braked(d, a.Reason, note{page: a.Page && i == 0}, &p.Findings)
	}
	return true, nil
}

// braked leaves the entity throttled and asks people to look.
func (w *work) braked(d schemas.Decision, why string, n note, f *findings) {
	d.Braked = true
	d.Reason = "braked (" + why + "): " + d.Reason
	review := d
	d.Verdict = schemas.VerdictThrottle
	if d.Entity.Kind == schemas.KindIP {
		d.Verdict = schemas.VerdictReview
	}
	w.enactBraked(d, n, f)
	review.Verdict, review.Proposed = schemas.VerdictReview, schemas.VerdictReview
	review.ID = schemas.DecisionID(d.Policy, d.Entity, schemas.VerdictReview, d.Mode, d.Episode)
	if d.Verdict != schemas.VerdictReview && !w.st.isDone(doneOf(&review)) {
		w.st.markDone(doneOf(&review))
		w.decide(review, nil)
	}
}

// enactBraked records the braked stop. The throttle stands since the proposal, so
// the status is published again only where it does not.
func (w *work) enactBraked(d schemas.Decision, n note, f *findings) {
	if d.Verdict.Rank() > w.st.Standing.rank() {
		w.enact(d, n, f)
		return
	}
	w.contain(&d, f)
	w.decideNoted(d, n)
	w.emitCase()
}

func itoa(n int) string { return strconv.Itoa(n) }
