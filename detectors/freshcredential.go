package detectors

import (
	"fmt"
	"math"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// FreshParameters are fresh credential's numbers.
type FreshParameters struct {
	Minutes float64
}

var freshCredentialSpec = Spec{
	Name: "fresh_credential", Version: 1, Family: schemas.FamilyCredential, Entity: schemas.KindAccount, Technique: "T1098.001",
	Parameters: []Parameter{
		{Name: "minutes", Unit: "minutes", Default: 60, Min: 1, Max: 1440, Source: "whoever has broken in makes a key of their own within the hour", at: func(p *Parameters) *float64 { return &p.Fresh.Minutes }},
	},
}

// Kinds of mark on a new credential.
const (
	freshVouched byte = iota + 1 // made from a source that the account knows
	freshPlain                   // made from elsewhere
)

// countCredential notes a credential that gives a way in: a new key, password,
// domain or allowed address, or a second factor taken away.
func (v *accountView) countCredential() {
	ev := v.event
	if !opens(ev) || ev.Actor == "employee" || ev.Actor == "system" {
		return
	}
	m := mark{time: ev.Time, a: v.e.hasher.String(ev.Credential), kind: freshPlain}
	if ev.IP.IsValid() {
		m.b = v.e.sourceHash(ev.IP, false)
		if v.usedBefore(m.b) || v.learning() {
			m.kind = freshVouched
		}
	}
	w := v.e.watching(v.account)
	w.fresh.add(&v.e.store.Arena, m)
	v.judgeFresh()
}

func opens(ev *schemas.Event) bool {
	switch ev.Kind {
	case "api_key", "smtp_password":
		return ev.Change == "created" || ev.Change == "rotated" || ev.Change == "reset"
	case "sender_domain", "ip_allowlist", "webhook":
		return ev.Change == "added" || ev.Change == "created"
	case "mfa":
		return ev.Change == "disabled" || ev.Change == "removed"
	}
	return false
}

// judgeFresh pairs odd logins with the credentials that were made from the same
// source within the hour after them, whichever was told first.
func (v *accountView) judgeFresh() {
	a, ar := v.account, &v.e.store.Arena
	w := v.e.store.watches.At(a.watch)
	for i := range int(w.fresh.n) {
		f := w.fresh.at(ar, i)
		if sketch.DayOf(f.time)+1 < a.day {
			continue // its day is closed
		}
		for j := range int(a.entered.n) {
			o := a.entered.at(ar, j)
			if !v.follows(f, o) {
				continue
			}
			if o.kind&^enteredGuessed == enteredUnknown {
				v.freshAfter(f, o, 1)
			}
			if o.wasGuessed() {
				v.freshAfter(f, o, 2)
			}
		}
	}
}

func (v *accountView) follows(f, o mark) bool {
	gap := f.time - o.time
	limit := int64(v.e.versions.at(hourStart(hourOf(f.time))).Fresh.Minutes) * msMinute
	return gap >= 0 && gap <= limit && (f.b == o.a || f.b == 0)
}

func (v *accountView) freshAfter(f, o mark, level int) {
	d := sketch.DayOf(f.time)
	severity, how := schemas.SeverityMedium, "from a source that the account did not use before"
	if level == 2 {
		severity, how = schemas.SeverityHigh, "that followed guesses"
	}
	v.hit(&freshCredentialSpec, v.account.days[mod2(d)].given(), measureFresh, finding{value: windowValue("24h", d.Start()), level: level, score: [...]float64{0, 0.5, 0.9}[level], severity: severity,
		evidence: schemas.Evidence{Observed: 1, Threshold: 1, Unit: "credentials", Window: "1h0m0s", Floor: 1,
			Text: fmt.Sprintf("a credential was created or a second factor removed %s after a login %s", things(math.Round(float64(f.time-o.time)/msMinute), "minute"), how)}})
}

// vouched reports whether the credential that sends was made from a source that
// the account knew, and not after an odd login: then it was the account's own
// people who gave it to whoever sends with it now.
func (v *accountView) vouched() bool {
	if v.account.watch == 0 || v.event.Credential == "" {
		return false
	}
	w, ar := v.e.store.watches.At(v.account.watch), &v.e.store.Arena
	if w.fresh.n == 0 {
		return false
	}
	id := v.e.hasher.String(v.event.Credential)
	since := v.event.Time - int64(v.dayP.Actor.Vouched*msDay)
	for i := range int(w.fresh.n) {
		if f := w.fresh.at(ar, i); f.a == id && f.time >= since && f.kind == freshVouched {
			return !v.tainted(f)
		}
	}
	return false
}

// tainted reports whether a credential was made after an odd login.
func (v *accountView) tainted(f mark) bool {
	a := v.account
	for j := range int(a.entered.n) {
		if o := a.entered.at(&v.e.store.Arena, j); v.follows(f, o) && (o.kind&^enteredGuessed == enteredUnknown || o.wasGuessed()) {
			return true
		}
	}
	return false
}
