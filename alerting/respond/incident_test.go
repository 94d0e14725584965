package respond_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

var phished = schemas.Entity{Kind: schemas.KindIncident, ID: "inc-1"}

// theIncident is the incident as it was written last, on the topic and in the journal.
func (b *inbox) theIncident() (x schemas.Incident) {
	b.t.Helper()
	var journal schemas.Incident
	for _, o := range b.outs {
		switch {
		case o.Key != phished.Key():
		case o.Topic == schemas.TopicIncidents:
			x = decode[schemas.Incident](b.t, o)
		case o.Topic == schemas.TopicCases:
			journal = decode[schemas.Incident](b.t, o)
		}
	}
	if x.ID == "" || x.Version != journal.Version {
		b.t.Fatalf("the incident is %+v, the journal has version %d", x, journal.Version)
	}
	return x
}

// incidentAct asks for an act, and hands on what it asks of other lanes.
func (b *inbox) incidentAct(act string, change func(*schemas.Request)) (refused string) {
	b.t.Helper()
	from := len(b.outs)
	b.request(act, phished, noon.Add(time.Hour), func(r *schemas.Request) {
		if change != nil {
			change(r)
		}
	})
	for _, o := range b.outs[from:] {
		switch {
		case o.Topic == schemas.TopicInbox && o.Kind == schemas.KindRequest:
			r := decode[schemas.Request](b.t, o)
			b.put(schemas.KindRequest, r.ID, r.Entity, r)
		case o.Topic == schemas.TopicOperator:
			refused = decode[schemas.Operator](b.t, o).Refused
		}
	}
	return refused
}

func item(v string) func(*schemas.Request) { return func(r *schemas.Request) { r.Item = v } }

func said(v string) func(*schemas.Request) { return func(r *schemas.Request) { r.Text = v } }

func opened(t *testing.T) *inbox {
	t.Helper()
	b := compromised(t, testConfig(), false)
	if why := b.incidentAct("incident_open", func(r *schemas.Request) { r.Item, r.Text = "employee:emp-03", "emp-03 was phished" }); why != "" {
		t.Fatal(why)
	}
	return b
}

// A case that joins an incident names it, and one that leaves it does not any more.
func TestCasesJoinAnIncident(t *testing.T) {
	b := opened(t)
	if why := b.incidentAct("incident_join", item(alice.Key())); why != "" {
		t.Fatal(why)
	}
	if c := b.theCase(alice); c.Incident != phished.ID || c.By == "" {
		t.Errorf("the case is part of %q, by %q", c.Incident, c.By)
	}
	if x := b.theIncident(); len(x.Members) != 1 || x.Members[0].Entity != alice || x.Cause != (schemas.Cause{Kind: "employee", Value: "emp-03"}) || x.State != schemas.IncidentOpen {
		t.Errorf("the incident is %+v", x)
	}
	if why := b.incidentAct("incident_join", item(alice.Key())); !strings.Contains(why, "already") {
		t.Errorf("joined twice: %q", why)
	}
	if why := b.incidentAct("incident_leave", item(alice.Key())); why != "" {
		t.Fatal(why)
	}
	if c, x := b.theCase(alice), b.theIncident(); c.Incident != "" || len(x.Members) != 0 {
		t.Errorf("after leaving, the case is part of %q and the incident has %v", c.Incident, x.Members)
	}
	// Who has gone over to another incident stays there.
	b.incidentAct("incident_join", item(alice.Key()))
	b.request("join", alice, noon.Add(2*time.Hour), item("inc-2"))
	b.incidentAct("incident_leave", item(alice.Key()))
	if c := b.theCase(alice); c.Incident != "inc-2" {
		t.Errorf("the case is part of %q, not inc-2", c.Incident)
	}
}

// An incident can be noted on, given away, closed and opened again. Every change has a
// version, and one by somebody who saw an older one is refused.
func TestIncidentFromOpenToClosed(t *testing.T) {
	b := opened(t)
	for _, act := range []struct {
		name   string
		change func(*schemas.Request)
	}{
		{"incident_note", said("told the staff")}, {"incident_assign", item("ben")}, {"incident_close", nil}, {"incident_reopen", nil},
	} {
		before := b.theIncident().Version
		if why := b.incidentAct(act.name, act.change); why != "" || b.theIncident().Version != before+1 {
			t.Errorf("%s: %q, version %d after %d", act.name, why, b.theIncident().Version, before)
		}
	}
	x := b.theIncident()
	if len(x.Notes) != 1 || x.Owner != "ben" || x.State != schemas.IncidentOpen || !x.Closed.IsZero() {
		t.Errorf("%+v", x)
	}
	old := x.Version - 1
	if why := b.incidentAct("incident_close", func(r *schemas.Request) { r.Version = &old }); !strings.Contains(why, "changed since") {
		t.Errorf("closed as it was seen before: %q", why)
	}
}

// A campaign lists credentials once each, and grows; everybody's is one of its own.
func TestCampaign(t *testing.T) {
	b := opened(t)
	leak := noon.Add(-48 * time.Hour)
	if why := b.incidentAct("incident_campaign", func(r *schemas.Request) { r.Text, r.Until = "key-2\nkey-1\n\nkey-2\n", leak }); why != "" {
		t.Fatal(why)
	}
	if c := b.theIncident().Campaign; fmt.Sprint(c.Credentials) != "[key-1 key-2]" || !c.Since.Equal(leak) || c.Everybody {
		t.Errorf("%+v", c)
	}
	b.incidentAct("incident_campaign", said("key-3\nkey-1"))
	if c := b.theIncident().Campaign; fmt.Sprint(c.Credentials) != "[key-1 key-2 key-3]" || !c.Since.Equal(leak) {
		t.Errorf("%+v", c)
	}
	for text, want := range map[string]string{"key-1\n": "no credential that is new", "": "no credential that is new", strings.Repeat("x", 200): "200 bytes", manyKeys(schemas.MaxCredentials): "more than"} {
		if why := b.incidentAct("incident_campaign", said(text)); !strings.Contains(why, want) {
			t.Errorf("%.20q: %q, want %q", text, why, want)
		}
	}
	if why := b.incidentAct("incident_campaign", item("everybody")); !strings.Contains(why, "already") {
		t.Errorf("everybody beside a list: %q", why)
	}
	b = opened(t)
	b.incidentAct("incident_campaign", item("everybody"))
	if c := b.theIncident().Campaign; !c.Everybody || c.Credentials != nil || !c.Since.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v", c)
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "many-%d\n", i)
	}
	return b.String()
}

// What was found for an incident is kept on it; of many hunts the newest.
func TestIncidentKeepsResults(t *testing.T) {
	b := opened(t)
	text := func(v any) func(*schemas.Request) {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return said(string(raw))
	}
	scope := schemas.Scope{Entity: staff, To: noon, Customers: 3, All: 10, Share: 0.3}
	if why := b.incidentAct("incident_scope", text(scope)); why != "" {
		t.Fatal(why)
	}
	for i := range schemas.MaxHunts + 2 {
		h := schemas.Hunt{Query: "retro_hunt", Version: 1, Hits: []schemas.Hit{{Indicator: fmt.Sprint("key-", i), Kind: "key", Events: 1}}}
		if why := b.incidentAct("incident_hunt", text(h)); why != "" {
			t.Fatal(why)
		}
	}
	x := b.theIncident()
	if x.Scope == nil || x.Scope.Customers != 3 || x.Scope.By == "" {
		t.Errorf("the scope is %+v", x.Scope)
	}
	if len(x.Hunts) != schemas.MaxHunts || x.Hunts[0].Hits[0].Indicator != "key-2" || x.Hunts[0].ID == x.Hunts[1].ID {
		t.Errorf("the hunts are %+v", x.Hunts)
	}
	for _, bad := range []string{"", "{}", "[]", strings.Repeat(" ", 300<<10)} {
		if b.incidentAct("incident_scope", said(bad)) == "" || b.incidentAct("incident_hunt", said(bad)) == "" {
			t.Errorf("%.20q is taken", bad)
		}
	}
}

// An incident is no account: nothing of it can be stopped, and an account is no incident.
func TestActsOnTheWrongThing(t *testing.T) {
	b := opened(t)
	for _, act := range []string{"suspend", "throttle", "snooze", "note", "release", "protect"} {
		if why := b.incidentAct(act, func(r *schemas.Request) { r.Text, r.Until = "x", noon.Add(9*time.Hour) }); !strings.Contains(why, "is no act on incident:inc-1") {
			t.Errorf("%s: %q", act, why)
		}
	}
	if _, ok := b.status[phished.Key()]; ok {
		t.Error("an incident has a status")
	}
	before := len(b.outs)
	b.request("incident_note", alice, noon.Add(time.Hour), said("x"))
	for _, o := range b.outs[before:] {
		if o.Topic == schemas.TopicOperator && decode[schemas.Operator](t, o).Refused == "" {
			t.Error("a note on the incident of an account was taken")
		}
	}
	if why := b.incidentAct("incident_join", item("incident:inc-2")); why == "" {
		t.Error("an incident joined an incident")
	}
	b = newInbox(t, testConfig())
	if why := b.incidentAct("incident_note", said("x")); !strings.Contains(why, "there is no incident:inc-1") {
		t.Errorf("a note on no incident: %q", why)
	}
	if why := b.incidentAct("incident_open", func(r *schemas.Request) { r.Item, r.Text = "weather:rain", "x" }); !strings.Contains(why, "is unknown") {
		t.Errorf("a cause that is none: %q", why)
	}
}

// The largest incident that there can be is a record that the broker takes.
func TestTheLargestIncidentFits(t *testing.T) {
	b := opened(t)
	long := func(i int) string { return fmt.Sprintf("%0128d", i) }
	for i := range schemas.MaxMembers {
		b.put(schemas.KindRequest, fmt.Sprint("j", i), phished, schemas.Request{
			ID: fmt.Sprint("j", i), Time: noon, Entity: phished, Act: "incident_join", Actor: strings.Repeat("a", 300), Why: strings.Repeat("w", 9000), Item: "account:" + long(i),
		})
		b.outs = b.outs[:0]
	}
	for i := range 64 {
		b.put(schemas.KindRequest, fmt.Sprint("n", i), phished, schemas.Request{
			ID: fmt.Sprint("n", i), Time: noon, Entity: phished, Act: "incident_note", Actor: strings.Repeat("a", 300), Why: "w", Text: strings.Repeat("t", 2000),
		})
	}
	var keys strings.Builder
	for i := range schemas.MaxCredentials {
		keys.WriteString(long(i) + "\n")
	}
	b.incidentAct("incident_campaign", said(keys.String()))
	b.incidentAct("incident_scope", said(`{"entity":{"kind":"employee","id":"e"},"to":"2026-03-02T00:00:00Z","digest":"`+strings.Repeat("d", 255<<10)+`"}`))
	for range schemas.MaxHunts {
		b.incidentAct("incident_hunt", said(`{"query":"q","version":1,"hits":[{"indicator":"`+strings.Repeat("d", 63<<10)+`","kind":"key"}]}`))
	}
	x := b.theIncident()
	raw, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Members) != schemas.MaxMembers || len(x.Hunts) != schemas.MaxHunts || x.Scope == nil || len(raw) > schemas.MaxMessageBytes*9/10 {
		t.Errorf("%d members, %d hunts: %d bytes", len(x.Members), len(x.Hunts), len(raw))
	}
}
