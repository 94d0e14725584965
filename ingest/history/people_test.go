package history

import (
	"net/netip"
	"testing"
	"time"

	"holdfast/schemas"
)

// What a page about an account, an address or an employee shows is counted from the rows,
// each event once.
func TestWhatPeopleAsk(t *testing.T) {
	h, c := open(t)
	ip, six := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	send := schemas.Event{ID: "e1", Type: schemas.TypeSend, Time: at(1), Account: "a1", IP: ip, Credential: "k1", Recipients: []string{"x@y.example", "z@y.example"}}
	insertEvents(t, c, 0, 0, send, send,
		schemas.Event{ID: "e2", Type: schemas.TypeSend, Time: at(3700), Account: "a1", IP: six, Credential: "k1", RecipientCount: 40},
		schemas.Event{ID: "e3", Type: schemas.TypeSend, Time: at(5), Account: "a2", IP: ip, RecipientCount: 5},
		schemas.Event{ID: "e4", Type: schemas.TypeDelivery, Time: at(6), Account: "a1", MessageID: "m", Outcome: "hard_bounce"},
		schemas.Event{ID: "e5", Type: schemas.TypeLogin, Time: at(7), Account: "a1", User: "u", IP: ip, Outcome: "failure"},
		schemas.Event{ID: "e6", Type: schemas.TypeLogin, Time: at(8), Account: "a1", User: "u", IP: ip, Outcome: "success"},
		schemas.Event{ID: "e7", Type: schemas.TypeCredential, Time: at(9), Account: "a1", Credential: "k2", Kind: "api_key", Change: "created"},
	)
	insertEvents(t, c, 1, 0,
		schemas.Event{ID: "e8", Type: schemas.TypeAccess, Time: at(2), Employee: "m1", Action: "view_secret", Account: "a1", Ticket: "T-1"},
		schemas.Event{ID: "e9", Type: schemas.TypeAccess, Time: at(3), Employee: "m1", Action: "export", Accounts: []string{"a2", "a1", "a3"}, Rows: 300},
	)
	account, employee, from := schemas.Entity{Kind: schemas.KindAccount, ID: "a1"}, schemas.Entity{Kind: schemas.KindEmployee, ID: "m1"}, start
	end := start.Add(24 * time.Hour)
	r, err := h.ReachOf(t.Context(), account, from, time.UnixMilli(at(1)))
	if err != nil || r.Messages != 1 || r.Recipients != 2 || r.Distinct != 2 {
		t.Errorf("reach up to the first send: %+v, %v", r, err)
	}
	r, err = h.ReachOf(t.Context(), employee, from, end)
	if err != nil || r.Exports != 1 || r.Secrets != 1 || r.Rows != 300 || r.Account != 3 {
		t.Errorf("reach of an employee: %+v, %v", r, err)
	}
	touched, err := h.TouchedBy(t.Context(), employee, from, end, 10)
	if err != nil || len(touched) != 3 || touched[0].Account != "a1" || touched[0].Records != 2 || touched[0].Secrets != 1 || touched[0].Ticket != 1 {
		t.Errorf("touched by an employee: %+v, %v", touched, err)
	}
	touched, err = h.TouchedBy(t.Context(), schemas.Entity{Kind: schemas.KindIP, ID: "192.0.2.7"}, from, end, 10)
	if err != nil || len(touched) != 2 || touched[0].Account != "a1" || touched[0].Sends != 2 || touched[0].Failed != 1 || touched[0].Logins != 1 || touched[1].Sends != 5 {
		t.Errorf("touched from an address: %+v, %v", touched, err)
	}
	sources, err := h.SourcesOf(t.Context(), account, from, end, 10)
	if err != nil || len(sources) != 2 || sources[0].Address != "2001:db8::7" || sources[0].Recipients != 40 || sources[1].Recipients != 2 || len(sources[1].Credentials) != 1 {
		t.Errorf("sources: %+v, %v", sources, err)
	}
	keys, err := h.CredentialsOf(t.Context(), account, from, end, 10)
	if err != nil || len(keys) != 2 || keys[0].ID != "k1" || keys[0].Recipients != 42 || keys[0].Addresses != 2 || keys[1].Change != "created" || keys[1].Changed.IsZero() || !keys[0].Changed.IsZero() {
		t.Errorf("credentials: %+v, %v", keys, err)
	}
	steps, err := h.VolumeOf(t.Context(), account, from, end, time.Hour)
	if err != nil || len(steps) != 2 || steps[0].Recipients != 2 || steps[0].Bounces != 1 || steps[1].Recipients != 40 {
		t.Errorf("volume: %+v, %v", steps, err)
	}
	if known, err := h.Known(t.Context(), account); err != nil || !known {
		t.Errorf("known: %v, %v", known, err)
	}
	if known, err := h.Known(t.Context(), schemas.Entity{Kind: schemas.KindAccount, ID: "nobody"}); err != nil || known {
		t.Errorf("nobody is known: %v, %v", known, err)
	}
	// By pages, each entry comes once, the newest first.
	var seen []string
	var after *Place
	for range 20 {
		page, err := h.NewestOf(t.Context(), account, TimelineFilter{Limit: 2, After: after})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			seen = append(seen, e.ID)
		}
		last := page[len(page)-1]
		after = &Place{When: last.When(), Arrival: last.Arrival, Kind: last.Kind, Position: last.Position}
	}
	if want := []string{"e2", "e7", "e6", "e5", "e4", "e9", "e8", "e1"}; len(seen) < len(want) || seen[0] != "e2" {
		t.Errorf("by pages: %v, want %v", seen, want)
	}
	if page, err := h.NewestOf(t.Context(), account, TimelineFilter{Limit: 10, Kinds: []schemas.Kind{schemas.KindSignal}}); err != nil || len(page) != 0 {
		t.Errorf("signals alone: %v, %v", page, err)
	}
	insertFinding(t, c, schemas.TopicOperator, schemas.KindOperator, 0, start.Add(time.Minute), "o1", "account:a1", "a1", `{"id":"o1","act":"note"}`)
	ops, err := h.Operators(t.Context(), OperatorFilter{Limit: 10, Since: start})
	if err != nil || len(ops) != 1 || ops[0].ID != "o1" {
		t.Errorf("operators: %+v, %v", ops, err)
	}
	insertFinding(t, c, schemas.TopicInbox, schemas.KindSignal, 0, start.Add(time.Minute), "s1", "account:a1", "a1", `{"id":"s1"}`)
	if n, err := h.Suppressed(t.Context(), account, "", start, end); err != nil || n != 1 {
		t.Errorf("suppressed: %d, %v", n, err)
	}
	insertFinding(t, c, schemas.TopicDecisions, schemas.KindDecision, 0, start.Add(time.Minute), "d1", "account:a1", "a1", `{"id":"d1"}`)
	if d, err := h.DecidedSince(t.Context(), start); err != nil || len(d) != 1 || d[0].N != 1 {
		t.Errorf("decided: %+v, %v", d, err)
	}
	insertFinding(t, c, schemas.TopicCases, schemas.KindCase, 0, start.Add(time.Minute), "case_1", "account:a1", "a1", `{"id":"case_1","version":1}`)
	insertFinding(t, c, schemas.TopicCases, schemas.KindCase, 1, start.Add(2*time.Minute), "case_1", "account:a1", "a1", `{"id":"case_1","version":2}`)
	if x, ok, err := h.Case(t.Context(), "case_1"); err != nil || !ok || x.Version != 2 {
		t.Errorf("case: %+v, %v, %v", x, ok, err)
	}
	if all, err := h.CasesOf(t.Context(), account, 10); err != nil || len(all) != 1 {
		t.Errorf("cases of: %+v, %v", all, err)
	}
	if d, err := h.DecisionsByID(t.Context(), []string{"d1", "d2"}, account); err != nil || len(d) != 1 {
		t.Errorf("decisions: %+v, %v", d, err)
	}
	if x, err := h.SignalsByID(t.Context(), []string{"s1"}, account); err != nil || len(x) != 1 {
		t.Errorf("signals: %+v, %v", x, err)
	}
	if a, n, err := h.Told(t.Context(), []string{"d1"}, account); err != nil || len(a)+len(n) != 0 {
		t.Errorf("told: %v %v %v", a, n, err)
	}
	if e, err := h.Snapshot(t.Context(), account); err != nil || e != nil {
		t.Errorf("snapshot: %v %v", e, err)
	}
}
