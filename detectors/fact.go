package detectors

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// Names of the facts.
const (
	factUse     = "key_used"      // to an address: a credential was used from it, and it is new to the account
	factStaff   = "employee_used" // to an address: an employee used it
	factSeen    = "secret_seen"   // to an account: an employee saw a secret of it
	factSuspect = "suspect_saw"   // to an account: so did an employee who is suspect
	factTried   = "login_tried"   // to an address: logins of a user failed so often, or one succeeded
	factRaised  = "actor_raised"  // to an address: an account was alarmed by unknown sources, of which it is one
)

// tell sends a member fact.
func (e *Engine) tell(emit func(schemas.Output), f schemas.Fact) {
	if e.trial.name != "" {
		return // what a trial thinks is told to nobody
	}
	f.Kind = schemas.FactMember
	value, err := schemas.AppendFact(nil, &f)
	if err != nil {
		return // strings of checked events always marshal
	}
	id := schemas.DeriveID("fct", f.Name, f.Entity.Key(), f.From.Key(), strconv.FormatInt(f.Window, 10), f.Value)
	emit(schemas.Output{Topic: schemas.TopicFacts, Kind: schemas.KindMember, ID: id, Key: f.Entity.Key(), Origin: owned(f.Origin), Value: value, Fact: &f})
}

// rareRate is the unknown sources a day up to which one says something.
const rareRate = 0.3

// tellSource tells an address that a credential was used from it, once a day, and
// keeps the use to be compared with what employees' lanes tell.
func (v *accountView) tellSource(source uint64, near bool) {
	s, ev := &v.e.store.Store, v.event
	mark := spread(source) ^ v.e.hasher.String(ev.Credential)*0x9e3779b97f4a7c15
	if !v.day.told.Add(&s.Arena, mark, maxToldUse) {
		return
	}
	ip := schemas.IPEntity(ev.IP)
	v.e.tell(v.emit, schemas.Fact{Name: factUse, Entity: ip, From: schemas.Entity{Kind: schemas.KindAccount, ID: ev.Account},
		Time: ev.Time, Window: v.dayNo.Start() / 1000, Value: ev.Credential, Account: ev.Account, Credential: ev.Credential,
		Address: ip.ID, Event: ev.ID, Origin: v.in.Origin, Arrival: v.in.Arrival})
	// To an account whose sources change all the time, one more says nothing of who
	// has its key; nor does one of a region that it uses.
	if rate, _ := v.dayBase.sourceRate(); near || rate > rareRate {
		return
	}
	v.e.note(v.emit, schemas.Entity{Kind: schemas.KindAccount, ID: ev.Account}, &v.account.records, record{
		kind: recordUse, live: v.in.Origin == schemas.OriginLive, day: v.dayNo, time: ev.Time, arrival: v.in.Arrival,
		who: ev.Account, credential: ev.Credential, place: ip.ID, event: ev.ID})
}

// applyFact folds what another entity's lane tells in. Facts are never late, and
// do not move the clock by which events are.
func (e *Engine) applyFact(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	f := in.Fact
	if f == nil {
		f = new(schemas.Fact)
		if err := json.Unmarshal(in.Value, f); err != nil {
			return false, &schemas.Error{Reason: schemas.ReasonNotJSON, Record: in.ID, What: err.Error(), Fix: "only detect lanes write facts"}
		}
	}
	if f.Entity.Key() != in.Key {
		return false, &schemas.Error{Reason: schemas.ReasonWrongKey, Record: in.ID, What: fmt.Sprintf("the key %q is not the fact's entity", in.Key), Fix: "only detect lanes write facts"}
	}
	if f.Entity.Kind == schemas.KindIP && (f.Name == factTried || f.Name == factRaised) {
		return e.sourceFact(in, f, emit)
	}
	x, ok := factRecord(f)
	if !ok {
		return false, &schemas.Error{Reason: schemas.ReasonUnknownType, Record: in.ID, Field: "name", What: fmt.Sprintf("fact %q to an entity of kind %q is unknown", f.Name, f.Entity.Kind), Fix: "upgrade every process of the role detect"}
	}
	var list *records
	if f.Entity.Kind == schemas.KindAccount {
		a := e.findAccount(in.Key)
		if a == nil {
			a = e.newAccount(in.Key)
		}
		if e.skip(&a.applied, in) {
			return false, nil
		}
		list = &a.records
	} else {
		a := e.findAddress(in.Key)
		if a == nil {
			a = e.newAddress(in.Key)
		}
		if e.skip(&a.applied, in) {
			return false, nil
		}
		e.hear(a, in.Arrival)
		list = &a.records
	}
	e.stats.facts.Add(1)
	e.note(emit, f.Entity, list, x)
	return true, nil
}

// factRecord is the record that a fact becomes, if its name and entity fit.
func factRecord(f *schemas.Fact) (record, bool) {
	x := record{live: f.Origin == schemas.OriginLive, day: sketch.DayOf(f.Window * 1000), time: f.Time, arrival: f.Arrival,
		credential: f.Credential, event: f.Event}
	for _, s := range [...]string{f.Account, f.Employee, f.Credential, f.Event} {
		if len(s) > schemas.MaxID {
			return x, false
		}
	}
	account := f.Entity.Kind == schemas.KindAccount
	switch {
	case f.Name == factSeen && account:
		x.kind, x.who = recordSeen, f.Employee
	case f.Name == factSuspect && account:
		x.kind, x.who = recordSuspect, f.Employee
	case f.Name == factStaff && f.Entity.Kind == schemas.KindIP:
		x.kind, x.who, x.credential = recordStaff, f.Employee, ""
	case f.Name == factUse && f.Entity.Kind == schemas.KindIP:
		x.kind, x.who = recordUse, f.Account
	default:
		return x, false
	}
	return x, x.who != ""
}

// pairView is what detectors see when an entity has got a record: all that it
// keeps, and which is new.
type pairView struct {
	e      *Engine
	emit   func(schemas.Output)
	entity schemas.Entity
	all    []record
	fresh  *record
}

// note adds a record to an entity's and lets detectors compare it with the others.
func (e *Engine) note(emit func(schemas.Output), entity schemas.Entity, list *records, x record) {
	if !list.add(&e.store.Store, x, &e.records) {
		return
	}
	v := pairView{e: e, emit: emit, entity: entity, all: e.records.list, fresh: &x}
	for _, d := range pairDetectors {
		d.pair(&v)
	}
}
