package world

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/schemas"
)

var first = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func options(profile string, seed uint64) Options {
	return Options{Profile: profile, Seed: seed, Accounts: 150, Employees: 20, Days: 21, Start: first, Attacks: 2, Lookalikes: 2, Rate: 10}
}

func made(t testing.TB, o Options) *World {
	t.Helper()
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Intake takes every event, they come in order and within the world's time, and no
// id stands twice.
func TestEventsPassTheStrictDecoder(t *testing.T) {
	for _, profile := range Profiles() {
		t.Run(profile, func(t *testing.T) {
			o := options(profile, 3)
			last, end := first, first.AddDate(0, 0, o.Days)
			seen := map[string]bool{}
			for e := range made(t, o).Events() {
				var x schemas.Event
				if err := schemas.Decode(e.JSON, &x); err != nil {
					t.Fatalf("%v in %s", err, e.JSON)
				}
				if x.ID != e.ID || seen[e.ID] {
					t.Fatalf("id %s of %s stands twice or differs", e.ID, e.JSON)
				}
				if e.Time.Before(last) || !e.Time.Before(end) || x.Time != e.Time.UnixMilli() {
					t.Fatalf("%s lies before the one before it, or outside the world's time", e.JSON)
				}
				seen[e.ID], last = true, e.Time
			}
			if len(seen) < 300 {
				t.Errorf("only %d events", len(seen))
			}
		})
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := Options{Profile: rapid.SampledFrom(Profiles()).Draw(rt, "profile"), Seed: rapid.Uint64().Draw(rt, "seed"), Accounts: rapid.IntRange(1, 40).Draw(rt, "accounts"),
			Employees: rapid.IntRange(0, 5).Draw(rt, "employees"), Days: rapid.IntRange(1, 10).Draw(rt, "days"), Start: first, Attacks: 1, Lookalikes: 1, Rate: 5}
		play := func(o Options) []byte {
			w, err := New(o)
			if err != nil {
				rt.Fatal(err)
			}
			var all bytes.Buffer
			if err := w.WriteFile(t.Context(), "-", &all, nil); err != nil {
				rt.Fatal(err)
			}
			return all.Bytes()
		}
		if !bytes.Equal(play(o), play(o)) {
			rt.Fatal("one seed gave two worlds")
		}
	})
}

// Every attack and look-alike shows within its window, of every account attack some
// sends are the attacker's own, and no attacker's send lies outside all windows.
func TestLabelsAreTrue(t *testing.T) {
	for _, profile := range Profiles() {
		t.Run(profile, func(t *testing.T) {
			w := made(t, options(profile, 7))
			events, harm := map[string][]int64{}, map[string][]int64{}
			for e := range w.Events() {
				var x schemas.Event
				if err := schemas.Decode(e.JSON, &x); err != nil {
					t.Fatal(err)
				}
				for _, key := range entities(&x) {
					events[key] = append(events[key], x.Time)
					if e.Harm {
						harm[key] = append(harm[key], x.Time)
					}
				}
			}
			windows := map[string][]Span{}
			for _, s := range w.Truth() {
				key := s.Entity.Key()
				windows[key] = append(windows[key], s)
				if !strings.HasPrefix(s.Kind, "~") && !within(events[key], s) {
					t.Errorf("nothing of %s happens to %s", s.Kind, key)
				}
				if s.Entity.Kind == schemas.KindAccount && s.Kind[0] != '~' && s.Kind != "swap" && s.Kind != "guessed_login" && !within(harm[key], s) {
					t.Errorf("%s of %s did no harm", s.Kind, key)
				}
			}
			for key, times := range harm {
				if !strings.HasPrefix(key, "account:") {
					continue
				}
				for _, at := range times {
					if !slices.ContainsFunc(windows[key], func(s Span) bool { return at >= s.Start && at <= s.End }) {
						t.Fatalf("an attacker's send of %s lies outside of its windows", key)
					}
				}
			}
			for _, s := range w.Traps() {
				if len(events[s.Entity.Key()]) == 0 {
					t.Errorf("nothing happens to %s of %s", s.Entity.Key(), s.Kind)
				}
			}
		})
	}
}

// A key that is made in the world's time is never used before.
func TestKeysAreMadeBeforeTheyAreUsed(t *testing.T) {
	o := options("agency", 9)
	o.Lookalikes = 8
	used := map[string]bool{}
	for e := range made(t, o).Events() {
		var x schemas.Event
		if err := schemas.Decode(e.JSON, &x); err != nil {
			t.Fatal(err)
		}
		switch {
		case x.Type == schemas.TypeSend && x.Credential != "":
			used[strings.Clone(x.Credential)] = true
		case x.Type == schemas.TypeCredential && x.Change == "created" && used[x.Credential]:
			t.Errorf("%s was used before it was made", x.Credential)
		}
	}
}

func entities(x *schemas.Event) []string {
	out := []string{x.Entity().Key()}
	if x.IP.IsValid() && x.Type != schemas.TypeConnection {
		out = append(out, schemas.IPEntity(x.IP).Key())
	}
	return out
}

func within(times []int64, s Span) bool {
	return slices.ContainsFunc(times, func(at int64) bool { return at >= s.Start && at <= s.End })
}

// Every kind that is asked for is there, and no other.
func TestKinds(t *testing.T) {
	o := options("mixed", 11)
	o.Accounts, o.Attacks, o.Lookalikes = 400, 2, 2
	w, got := made(t, o), map[string]int{}
	for _, s := range slices.Concat(w.Truth(), w.Traps()) {
		got[s.Kind]++
	}
	for _, k := range append(AttackKinds("mixed"), LookalikeKinds("mixed")...) {
		if got[k] == 0 {
			t.Errorf("no %s", k)
		}
	}
	o.Kinds = []string{"botnet_fanout"}
	for _, s := range made(t, o).Truth() {
		if s.Kind != "botnet_fanout" && s.Kind != "~attacker_address" {
			t.Errorf("%s although it was not asked for", s.Kind)
		}
	}
}

// The number of messages is near what the rate says, and bounces are as rare as on
// a platform that stays in business.
func TestRates(t *testing.T) {
	o := options("mixed", 5)
	o.Accounts, o.Attacks, o.Lookalikes = 400, 0, 0
	var sends, recipients, bounces int64
	for e := range made(t, o).Events() {
		var x schemas.Event
		if err := schemas.Decode(e.JSON, &x); err != nil {
			t.Fatal(err)
		}
		switch {
		case x.Type == schemas.TypeSend:
			sends, recipients = sends+1, recipients+x.Volume()
		case x.Outcome == "hard_bounce":
			bounces++
		}
		if e.Harm {
			t.Fatal("harm without an attack")
		}
	}
	want := o.Rate * float64(o.Accounts*o.Days)
	if r := float64(recipients) / want; r < 0.4 || r > 2.5 {
		t.Errorf("%d recipients where about %.0f were expected", recipients, want)
	}
	if r := float64(bounces) / float64(recipients); r < 0.002 || r > 0.05 {
		t.Errorf("bounces of %.2f %%", 100*r)
	}
}

func TestMistakes(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"profile": func(o *Options) { o.Profile = "none" }, "accounts": func(o *Options) { o.Accounts = 0 }, "days": func(o *Options) { o.Days = MaxDays + 1 },
		"rate": func(o *Options) { o.Rate = 0 }, "kind": func(o *Options) { o.Kinds = []string{"none"} },
	} {
		o := options("mixed", 1)
		spoil(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriteDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "set")
	s, err := made(t, options("shop", 2)).WriteDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	harm, err := os.ReadFile(filepath.Join(dir, "harm.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(harm, []byte("\n")); s.Harm == 0 || lines != s.Harm+1 || !bytes.HasPrefix(harm, []byte("event\n")) {
		t.Errorf("%d lines for %d sends", lines, s.Harm)
	}
	for _, name := range []string{"events.ndjson.gz", "truth.csv", "traps.csv"} {
		if f, err := os.Stat(filepath.Join(dir, name)); err != nil || f.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkEvents(b *testing.B) {
	n := 0
	for b.Loop() {
		for range made(b, options("mixed", 1)).Events() {
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
