package detectors

import (
	"math"
	"slices"

	"holdfast/schemas"
)

// Records of evidence-only sources never reach the live engine: they add to no count, teach
// no baseline and are no duplicate of anything. A second engine, which works as a trial's
// does, sees them, by the live numbers, beside what the live engine sees of the same
// entities: it takes over an entity's live state before the first such record and then
// folds in all of the entity's records. Only its signals leave, as records of the kind
// trial under the name EvidenceRun, whose ids are never a live signal's; those that the
// live engine raises by the same record do not. So such a source can neither cause nor
// hide what is found by sources that are trusted in full.
const evidenceID = schemas.EvidenceRun + ":0"

// evidenceRun is the engine for evidence, made when it is first needed.
func (f *Fold) evidenceRun() *trial {
	if f.evidence != nil {
		return f.evidence
	}
	t := &trial{id: evidenceID, engine: New(f.cfg)}
	t.engine.trial = onTrial{name: schemas.EvidenceRun, from: math.MinInt64, until: math.MaxInt64}
	t.engine.level = f.live.level
	t.pass = func(o schemas.Output) {
		if o.Kind == schemas.KindTrial && !slices.Contains(f.raised, o.ID) {
			f.emit(o)
		}
	}
	if f.secret != nil {
		_ = t.engine.Control(schemas.ControlInstallation, f.secret) // the live engine has taken it
	}
	if f.base != nil {
		_ = t.engine.Control(schemas.ControlParameters, f.base) // likewise
	}
	f.evidence = t
	return t
}

// applyEvidence folds a record of an evidence-only source in, beside all that is live.
func (f *Fold) applyEvidence(in *schemas.Input, emit func(schemas.Output)) (touched bool, err error) {
	t := f.evidenceRun()
	if !in.Duplicate {
		f.takeOver(t, in.Key)
	}
	f.emit, f.raised = emit, f.raised[:0]
	defer func() {
		if v := recover(); v != nil {
			f.meter.failed.Add(1)
			touched, err = false, &schemas.Error{Reason: schemas.ReasonBadField, Record: in.ID, What: "cannot be judged as evidence"}
		}
	}()
	return t.engine.Apply(in, t.pass)
}

// watchesAsEvidence reports whether an entity has been touched by an evidence-only source,
// so that what happens to it is judged twice.
func (f *Fold) watchesAsEvidence(key string) bool {
	return f.evidence != nil && f.evidence.engine.knows(key)
}

// notingRaised is emit, and remembers what the live engine raises of a record.
func (f *Fold) notingRaised(emit func(schemas.Output)) func(schemas.Output) {
	f.raised = f.raised[:0]
	return func(o schemas.Output) {
		if o.Kind == schemas.KindSignal {
			f.raised = append(f.raised, schemas.OfTrial(o.ID, schemas.EvidenceRun))
		}
		emit(o)
	}
}
