package respond

import (
	"strings"

	"holdfast/alerting/decision"
	"holdfast/schemas"
)

// event folds in an account's snapshot: who is to be told, and whether it is
// protected. The newest by its own time wins. Other events are not needed yet.
func (w *work) event() (bool, error) {
	var e schemas.Event
	if err := w.fold.decoder.Decode(w.in.Value, &e); err != nil {
		return false, err
	}
	if e.Type != schemas.TypeAccount {
		return false, nil
	}
	if e.Entity() != w.entity {
		return false, &schemas.Error{Reason: schemas.ReasonWrongKey, Record: e.ID, Field: "account", What: "is not the record's key"}
	}
	if old := w.st.Account; old != nil && (old.Time > e.Time || old.Time == e.Time && old.ID >= e.ID) {
		return false, nil
	}
	contacts := e.Contacts[:min(len(e.Contacts), decision.MaxContacts)]
	for i := range contacts { // the state outlives the record's bytes
		contacts[i] = schemas.Contact{Email: strings.Clone(contacts[i].Email), Role: strings.Clone(contacts[i].Role)}
	}
	w.st.Account = &account{Time: e.Time, ID: strings.Clone(e.ID), Plan: strings.Clone(clip(e.Plan, maxID)), Protected: e.Protected, Contacts: contacts}
	return true, nil
}
