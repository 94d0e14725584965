package respond

// notAllowed drops a signal that the allow-list, or a person, expects. The entry ends by
// itself.
func (j *judgement) notAllowed() bool {
	for i := range j.st.Allows {
		if a := &j.st.Allows[i]; a.Detector == j.signal.Detector && j.signal.Time <= a.Until {
			return false
		}
	}
	at := fromMilli(j.signal.Time)
	_, allowed := j.fold.policies.At(at).Allowed(j.entity, j.signal.Detector, at)
	return !allowed
}

// notSnoozed drops a signal of a time for which a person snoozed the entity.
func (j *judgement) notSnoozed() bool {
	return j.st.Snooze == nil || j.signal.Time > j.st.Snooze.Until
}
