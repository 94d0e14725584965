package proof

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"holdfast/schemas"
)

func (b *bed) remover() *Remover {
	return &Remover{Store: b.store, Wait: time.Second, Write: func(ctx context.Context, e Entry) error {
		return WriteEntries(ctx, b.client, b.prefix, []Entry{e})
	}}
}

// Erasing an account takes its rows and their salts; every other proof still holds, the
// recorder does not bring the rows back, and verify says who erased them.
func TestErase(t *testing.T) {
	b := ready(t, 40)
	before := b.number("SELECT count() FROM events WHERE account = 'acct-1'")
	seeds := b.number("SELECT count() FROM proof_batches WHERE seed != ''")
	hold := Hold{ID: "h", Entity: "account:acct-1", From: time.Now().Add(-time.Hour), To: time.Now().Add(-30 * time.Minute)}
	out, err := b.remover().Erase(t.Context(), "acct-1", "ada", "request 7", []Hold{hold})
	if err != nil {
		t.Fatal(err)
	}
	if out.Rows["events"] != int64(before) || out.Rows["decisions"] == 0 || out.Held["events"] != 0 {
		t.Errorf("erased %v, held %v, want %d events", out.Rows, out.Held, before)
	}
	for _, table := range schemas.Tables() {
		if n := b.number("SELECT count() FROM " + table.Name + " WHERE account = 'acct-1'"); n != 0 && out.Rows[table.Name] > 0 {
			t.Errorf("%s has %d rows of it", table.Name, n)
		}
	}
	if n := b.number("SELECT count() FROM proof_batches WHERE seed != ''"); n >= seeds {
		t.Errorf("%d seeds are there, as many as before", n)
	}
	if n := b.number("SELECT count() FROM proof_batches WHERE id LIKE '%-1' AND topic != 'gaps'"); n != 0 {
		t.Errorf("%d batches name a row that was erased", n)
	}
	if err := b.prover.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, found := b.verify()
	if len(found) > 0 {
		t.Fatal(found)
	}
	if len(r.Removed) != 1 || r.Removed[0].By != "ada" || r.Removed[0].Why != "request 7" || r.Removed[0].ID != out.ID {
		t.Errorf("verify says %+v", r.Removed)
	}
	stop := b.recordUntil() // it compares the store with the journals, again and again
	b.write(schemas.TopicEvents, 0, eventOf("later", "acct-2", 2))
	b.until("the recorder does not go on", func() bool { return b.number("SELECT count() FROM events WHERE id = 'later'") == 1 })
	again := b.number("SELECT toUInt64(count()) FROM events WHERE account = 'acct-1'")
	b.settled()
	stop()
	if again != 0 {
		t.Errorf("the recorder brought %d erased rows back", again)
	}
	// A second erasure of other rows of the same batches, and a row that is taken beside.
	if _, err := b.remover().Erase(t.Context(), "acct-2", "ada", "request 8", nil); err == nil {
		t.Error("rows were erased that the log of proof does not cover yet")
	}
}

// A hold keeps its rows from being erased.
func TestEraseHeld(t *testing.T) {
	b := ready(t, 20)
	out, err := b.remover().Erase(t.Context(), "acct-1", "ada", "request", []Hold{{ID: "h", Entity: "account:acct-1"}})
	if err != nil || out.ID != "" || out.Held["events"] == 0 {
		t.Errorf("%+v, %v: want everything held", out, err)
	}
	ended := Hold{ID: "h", Entity: "*", Ended: time.Now()}
	if out, err = b.remover().Erase(t.Context(), "acct-1", "ada", "request", []Hold{ended}); err != nil || out.ID == "" {
		t.Errorf("%+v, %v: the hold has ended", out, err)
	}
}

// Months that are over their time go, all but what is held; verify tells them from rows
// that somebody deleted.
func TestExpiry(t *testing.T) {
	b := ready(t, 40)
	all := b.number("SELECT count() FROM events")
	of := b.number("SELECT count() FROM events WHERE account = 'acct-3'")
	later := time.Now().AddDate(0, 3, 0)
	keep := Retention{Days: map[string]int{"events": 30, "decisions": 3000}}
	hold := []Hold{{ID: "h", Entity: "account:acct-3"}}
	if err := b.remover().Sweep(t.Context(), time.Now(), keep, nil); err != nil || b.number("SELECT count() FROM events") != all {
		t.Fatal("rows went before their time", err)
	}
	for range 2 { // the second time there is nothing to do
		if err := b.remover().Sweep(t.Context(), later, keep, hold); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.number("SELECT count() FROM events"); n != of {
		t.Errorf("%d rows stay, want the %d that are held", n, of)
	}
	if err := b.prover.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, found := b.verify()
	if len(found) > 0 || len(r.Removed) != 1 || r.Removed[0].Kind != KindExpiry || r.Removed[0].Rows != int64(all-of) {
		t.Fatalf("verify says %+v, found %+v", r.Removed, found)
	}
	t.Run("a held row deleted", func(t *testing.T) {
		defer b.aside("events")()
		b.exec("ALTER TABLE events DELETE WHERE offset = (SELECT min(offset) FROM events)" + now)
		if _, found := b.verify(); !slices.ContainsFunc(found, func(f Finding) bool { return f.What == FoundMissing && f.Table == "events" }) {
			t.Errorf("found %+v", found)
		}
	})
	if err := b.remover().Sweep(t.Context(), later, keep, nil); err != nil {
		t.Fatal(err)
	}
	if n := b.number("SELECT count() FROM events") + b.number("SELECT count() FROM proof_batches WHERE topic = 'events'"); n != 0 {
		t.Errorf("%d rows and batches stay", n)
	}
	if err := b.prover.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, found := b.verify(); len(found) > 0 {
		t.Error(found)
	}
}

// Rows of accounts of one plan expire sooner, one by one.
func TestExpiryByPlan(t *testing.T) {
	b := newBed(t)
	stop := b.recordUntil()
	for i, plan := range []string{"free", "pro", "free"} {
		account := fmt.Sprint("acct-", i)
		r := eventOf("snapshot"+account, account, i)
		r.Value = fmt.Appendf(nil, `{"id":"snapshot%d","type":"account","time":"2026-03-02T00:00:00Z","account":%q,"status":"active","plan":%q,"created":"2026-01-01T00:00:00Z","users":[],"domains":[],"credentials":[],"contacts":[]}`, i, account, plan)
		b.write(schemas.TopicEvents, 0, r, eventOf(fmt.Sprint("mail", i), account, i))
	}
	b.recorded()
	b.settled()
	b.prove()
	stop()
	if err := b.remover().Sweep(t.Context(), time.Now().AddDate(0, 3, 0), Retention{Plans: map[string]int{"free": 30}}, []Hold{{ID: "h", Entity: "account:acct-2"}}); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]uint64{"acct-0": 0, "acct-1": 2, "acct-2": 2} {
		if n := b.number("SELECT count() FROM events WHERE account = '" + account + "'"); n != want {
			t.Errorf("%s has %d rows, want %d", account, n, want)
		}
	}
	if err := b.prover.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, found := b.verify(); len(found) > 0 || len(r.Removed) != 1 || r.Removed[0].Rows != 2 {
		t.Errorf("%+v %+v", r, found)
	}
}
