package detectors

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"holdfast/schemas"
)

// lived returns an engine with every kind of state, and its keys.
func lived(t testing.TB, seed uint64) (*Engine, []string) {
	r := newRouter(t, 1, seed)
	for _, e := range newLife(seed, 16).out {
		r.event([]byte(e.data))
	}
	r.run()
	var keys []string
	for key := range allKeys(r) {
		keys = append(keys, key)
	}
	return r.engines[0], keys
}

func saved(t testing.TB, e *Engine, key string) (value []byte) {
	if err := e.Save(key, func(_ string, v []byte) { value = v }); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestStateComesBackAsItWas(t *testing.T) {
	e, keys := lived(t, 3)
	back := New(Config{Lanes: 1, HashSecret: secret})
	for range 2 { // restoring over what is there must leak nothing
		for _, key := range keys {
			value := saved(t, e, key)
			if value == nil {
				continue
			}
			if err := back.Restore(key, value); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(saved(t, back, key), value) {
				t.Errorf("%s differs after being restored", key)
			}
		}
	}
	held := back.store.InUse()
	for _, key := range keys {
		if err := back.Restore(key, nil); err != nil {
			t.Fatal(err)
		}
		if saved(t, back, key) != nil {
			t.Errorf("%s is still there", key)
		}
	}
	if back.store.InUse() != 0 || back.store.Large() != 0 {
		t.Errorf("%d of %d bytes and %d sketches are left of nothing", back.store.InUse(), held, back.store.Large())
	}
	for kind, n := range back.Entities() {
		if n != 0 {
			t.Errorf("%d of %s are left", n, kind)
		}
	}
}

// A damaged value is refused and changes nothing, wherever the damage lies.
func TestDamagedStateChangesNothing(t *testing.T) {
	e, keys := lived(t, 4)
	for _, key := range keys {
		value := saved(t, e, key)
		for cut := 0; cut < len(value); cut += 1 + len(value)/40 {
			bad := bytes.Clone(value)
			bad[cut] ^= 0x55
			for _, v := range [][]byte{value[:cut], bad} {
				if err := e.Restore(key, v); err == nil {
					t.Fatalf("%s: damage at byte %d was not noticed", key, cut)
				}
			}
		}
		if !bytes.Equal(saved(t, e, key), value) {
			t.Errorf("%s was changed by damaged values", key)
		}
	}
}

// FuzzRestore puts any payload under a valid checksum: it is refused or it works.
func FuzzRestore(f *testing.F) {
	e, keys := lived(f, 5)
	kinds := map[string]bool{}
	for _, key := range keys {
		kind, _, _ := strings.Cut(key, ":")
		if frame, err := schemas.ParseStateFrame(saved(f, e, key)); err == nil && (!kinds[kind] || len(frame.Payload) < 600) {
			kinds[kind] = true
			f.Add(kind, frame.Payload)
		}
	}
	events := newLife(5, 16).out
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		key := map[string]string{"account": "account:acct-0", "employee": "employee:emp-0"}[kind]
		if key == "" {
			key = "ip:192.0.2.1"
		}
		e := New(Config{Lanes: 1, HashSecret: secret})
		value := schemas.AppendStateFrame(nil, schemas.StateFrame{Version: layout, Payload: payload})
		if e.Restore(key, value) != nil {
			if e.store.InUse() != 0 {
				t.Error("a refused value left something behind")
			}
			return
		}
		r := newRouter(t, 1, 1)
		r.folds[0].live = e
		for _, x := range events[len(events)-60:] {
			r.event([]byte(x.data))
		}
		r.run()
		saved(t, e, key)
	})
}

// A use that was noted before an account was restored, or removed and another made in
// its place, is noted again.
func TestRestoredAccountsSourcesAreNotedAgain(t *testing.T) {
	send := func(e *Engine, account string, day int) {
		in := input(int64(day), "account:"+account, fmt.Sprintf(`{"id":"e%d","type":"send","account":%q,"time":"2026-03-%02dT10:00:00Z","ip":"192.0.2.1","recipients":["x@y.example"]}`, day, account, day))
		if _, err := e.Apply(in, func(schemas.Output) {}); err != nil {
			t.Fatal(err)
		}
	}
	e := New(Config{Lanes: 1, HashSecret: secret})
	for day := 1; day < 8; day++ {
		send(e, "a", day)
	}
	before := saved(t, e, "account:a")
	send(e, "a", 8)
	want := saved(t, e, "account:a")
	if err := e.Restore("account:a", before); err != nil {
		t.Fatal(err)
	}
	send(e, "a", 8)
	if !bytes.Equal(saved(t, e, "account:a"), want) {
		t.Error("restored: the state differs from the first time")
	}
	// Removed, so that another account takes its place in memory:
	if err := e.Restore("account:a", nil); err != nil {
		t.Fatal(err)
	}
	if err := e.Restore("account:a", before); err != nil {
		t.Fatal(err)
	}
	send(e, "a", 8)
	if err := e.Restore("account:a", nil); err != nil {
		t.Fatal(err)
	}
	fresh := New(Config{Lanes: 1, HashSecret: secret})
	send(fresh, "b", 8)
	send(e, "b", 8)
	if !bytes.Equal(saved(t, e, "account:b"), saved(t, fresh, "account:b")) {
		t.Error("removed: the account in its place differs from a new one")
	}
}
