package respond

import (
	"holdfast/schemas"
)

// openCase opens the entity's case with its first throttle or stop, and adds later
// ones to it.
func (w *work) openCase(d schemas.Decision) {
	if d.Verdict.Rank() < schemas.VerdictThrottle.Rank() {
		return
	}
	if w.st.Case == nil {
		w.st.Case = &schemas.Case{
			ID: schemas.DeriveID("case", d.Entity.Key(), itoa(d.Episode)), Entity: d.Entity, Account: d.Account,
			Episode: d.Episode, Stage: schemas.StageOpen, Opened: d.Time, By: d.By,
		}
	}
	w.extendCase(d)
}

// extendCase adds a decision to an open case. A case names at most 64.
func (w *work) extendCase(d schemas.Decision) {
	c := w.st.Case
	if c == nil || len(c.Decisions) >= maxDecisions {
		return
	}
	c.Time = d.Time
	c.Decisions = append(c.Decisions, d.ID)
	w.emitCase()
}

// closeCase closes the open case, if there is one.
func (w *work) closeCase(d schemas.Decision, why string) {
	c := w.st.Case
	if c == nil {
		return
	}
	c.Stage, c.Time, c.By, c.Why = schemas.StageClosed, d.Time, d.By, why
	if len(c.Decisions) < maxDecisions {
		c.Decisions = append(c.Decisions, d.ID)
	}
	w.emitCase()
	w.st.Case = nil
}

func (w *work) emitCase() {
	w.emit(schemas.TopicCases, schemas.KindCase, w.st.Case.ID, w.entity.Key(), w.st.Case)
}
