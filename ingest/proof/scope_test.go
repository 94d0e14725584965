package proof

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Whom an employee reached, and a certificate that only that run, that log and that key
// can have given.
func TestScopeAndCertificate(t *testing.T) {
	b := newBed(t)
	stop := b.recordUntil()
	event := func(id, key, body string) kafka.Record {
		return kafka.Record{Time: time.Now().UnixMilli(), Key: []byte(key), Value: fmt.Appendf(nil, `{"id":%q,%s}`, id, body), Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte("event")}, {Key: schemas.HeaderID, Value: []byte(id)}, {Key: schemas.HeaderSource, Value: []byte("test")}}}
	}
	send := func(id, account, at, ip string) {
		b.write(schemas.TopicEvents, 0, event(id, "account:"+account, fmt.Sprintf(`"type":"send","time":%q,"account":%q,"credential":"key-%s","ip":%q,"recipient_count":1`, at, account, account, ip)))
	}
	for i := range 10 {
		send(fmt.Sprint("s", i), fmt.Sprint("acct-", i), "2026-03-01T00:00:00Z", "192.0.2.1")
	}
	access := func(id, body string) {
		b.write(schemas.TopicEvents, 1, event(id, "employee:emp-3", `"type":"access","employee":"emp-3","ip":"203.0.113.5",`+body))
	}
	access("a1", `"time":"2026-03-02T10:00:00Z","action":"view_secret","account":"acct-1"`)
	access("a1", `"time":"2026-03-02T10:00:00Z","action":"view_secret","account":"acct-1"`) // sent twice
	access("a2", `"time":"2026-03-02T10:01:00Z","action":"view_account","account":"acct-2","rows":3`)
	access("a3", `"time":"2026-03-02T10:02:00Z","action":"list","accounts":["acct-3","acct-4"],"rows":200`)
	access("early", `"time":"2026-03-01T10:00:00Z","action":"view_account","account":"acct-9"`)
	send("again", "acct-1", "2026-03-02T11:00:00Z", "192.0.2.1") // its own address
	send("theft", "acct-1", "2026-03-02T11:00:00Z", "198.51.100.7")
	send("not seen", "acct-2", "2026-03-02T11:00:00Z", "198.51.100.8")
	b.recorded()
	b.settled()
	b.prove()
	stop()
	from, to := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
	s, err := FindScope(t.Context(), b.store, schemas.Entity{Kind: schemas.KindEmployee, ID: "emp-3"}, from, to)
	if err != nil {
		t.Fatal(err)
	}
	var reached []string
	for _, r := range s.Reached {
		reached = append(reached, fmt.Sprint(r.Account, r.Records, r.Rows, r.Secret))
	}
	if got := strings.Join(reached, " "); got != "acct-11 0 true acct-21 3 false acct-31 200 false acct-41 200 false" {
		t.Errorf("reached %s", got)
	}
	if s.Accounts != 10 || s.Share != 0.4 || s.Bulk != 1 || s.BulkRows != 200 || s.Blind != 0 || s.Records != 3 || s.Rows != 203 {
		t.Errorf("%+v", s)
	}
	if len(s.Used) != 1 || s.Used[0].Account != "acct-1" || s.Used[0].Credential != "key-acct-1" || s.Used[0].Address != "198.51.100.7" {
		t.Errorf("used afterwards: %+v", s.Used)
	}
	run := &Run{By: "ada", Why: "insider", Code: "test", Policies: "p1", Scope: s}
	if err := Commit(t.Context(), b.store, b.remover().Write, run); err != nil {
		t.Fatal(err)
	}
	r, seed, e, err := ReadRun(t.Context(), b.store, run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Certify(r, seed, e, "acct-7", b.dir, b.keys); err == nil {
		t.Error("a certificate was given before a checkpoint covers its run")
	}
	if err := b.prover.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]string{"acct-1": ResultIs, "acct-7": ResultNot} {
		text, err := Certify(r, seed, e, account, b.dir, b.keys)
		if err != nil {
			t.Fatal(err)
		}
		c, err := OpenCertificate(text, b.keys.Verifier)
		if err != nil || c.Result != want || c.Account != account || c.Reached != 4 || c.Accounts != 10 {
			t.Errorf("%s: %+v, %v", account, c, err)
		}
		for _, face := range []string{"account " + account + ": " + want, "4 of 10 accounts (40.0 %)", "covered: events/0, offsets 0 to", "no gap is known", "policies p1"} {
			if !strings.Contains(string(text), face) {
				t.Errorf("its face does not say %q:\n%s", face, text)
			}
		}
		// Signed anew with another result, account, salt or gap it is none.
		for what, change := range map[string]func(*Certificate){
			"result": func(c *Certificate) { c.Result = map[string]string{ResultIs: ResultNot, ResultNot: ResultIs}[c.Result] }, "account": func(c *Certificate) { c.Account = "acct-8" },
			"number": func(c *Certificate) { c.Number++ }, "run": func(c *Certificate) { c.Run = "run_x" }, "leaf": func(c *Certificate) { c.Index++ },
		} {
			forged := *c
			change(&forged)
			if err := forged.check(b.keys.Verifier); err == nil {
				t.Errorf("%s: a forged %s passes", account, what)
			}
		}
		if _, err := OpenCertificate([]byte(strings.Replace(string(text), want, "fine", 1)), b.keys.Verifier); err == nil {
			t.Error("a changed face passes")
		}
	}
	if _, err := Certify(r, seed, e, "acct-77", b.dir, b.keys); err == nil {
		t.Error("an account that nobody knows got a certificate")
	}
	if _, found := b.verify(); len(found) > 0 {
		t.Error(found)
	}
	// What names no customer may have reached any.
	s.Blind = 1
	if got := run.Result("acct-7"); got != ResultUnknown {
		t.Errorf("with a read of many that names nobody: %s", got)
	}
}
