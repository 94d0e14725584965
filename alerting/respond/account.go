package respond

import (
	"strings"

	"holdfast/alerting/casework"
	"holdfast/alerting/decision"
	"holdfast/schemas"
)

// event folds in what detection hands on: an account's snapshot, which says who is to be
// told, what there is to renew and whether the account is protected, the newest by its own
// time; and changes of credentials, which the way back is proven by.
func (w *work) event() (bool, error) {
	var e schemas.Event
	if err := w.fold.decoder.Decode(w.in.Value, &e); err != nil {
		return false, err
	}
	if e.Type != schemas.TypeAccount && e.Type != schemas.TypeCredential {
		return false, nil
	}
	if e.Entity() != w.entity {
		return false, &schemas.Error{Reason: schemas.ReasonWrongKey, Record: e.ID, Field: "account", What: "is not the record's key"}
	}
	w.now = fromMilli(e.Time)
	if w.st.Case != nil {
		if err := w.secure(); err != nil {
			return false, err
		}
	}
	if w.st.Inventory == nil {
		w.st.Inventory = new(casework.Account)
	}
	if e.Type == schemas.TypeCredential {
		if !w.st.Inventory.Add(&e, w.in.Arrival, w.st.keepFrom()) {
			return false, nil
		}
		w.progress()
		return true, nil
	}
	if old := w.st.Account; old != nil && (old.Time > e.Time || old.Time == e.Time && old.ID >= e.ID) {
		return false, nil
	}
	contacts := e.Contacts[:min(len(e.Contacts), decision.MaxContacts)]
	for i := range contacts { // the state outlives the record's bytes
		contacts[i] = schemas.Contact{Email: strings.Clone(contacts[i].Email), Role: strings.Clone(contacts[i].Role)}
	}
	first := w.st.Inventory.AsOf == 0
	w.st.Account = &account{Time: e.Time, ID: strings.Clone(e.ID), Plan: strings.Clone(clip(e.Plan, maxID)), Protected: e.Protected, Contacts: contacts}
	w.st.Inventory.Snapshot(&e)
	if c := w.st.Case; casework.IsOpen(c) {
		c.Protected = w.st.protected()
		if first && len(c.Steps) > 0 {
			casework.Derive(c, w.st.Inventory)
			casework.Conclude(c, w.st.Inventory)
			w.emitCase()
		}
	}
	return true, nil
}

// keepFrom is since when changes of the account are kept: the window of its open case.
func (s *state) keepFrom() int64 {
	if !casework.IsOpen(s.Case) || s.Case.Window.From.IsZero() {
		return 0
	}
	return s.Case.Window.From.UnixMilli()
}
