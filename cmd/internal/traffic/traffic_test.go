package traffic

import (
	"bytes"
	"testing"
	"time"

	"holdfast/schemas"
)

var begin = time.Date(2026, 3, 16, 9, 0, 0, 0, time.UTC)

// past and present are two stretches of one platform's life, as the demonstration
// plays them.
func past() Config {
	return Config{Seed: 1, Accounts: 12, Employees: 3, Start: begin.Add(-72 * time.Hour), Length: 72 * time.Hour}
}

func present() Config {
	return Config{Seed: 1, Accounts: 12, Employees: 3, Start: begin, Length: time.Hour, Incidents: []Incident{
		Leak(2, begin.Add(10*time.Minute), 20*time.Minute),
		Botnet(4, 60, begin.Add(15*time.Minute), 20*time.Minute),
		Insider(1, 5, 10, begin.Add(5*time.Minute), begin.Add(30*time.Minute)),
	}}
}

// Every event must pass intake's door, in the order of time and within the stretch.
func TestEventsAreAccepted(t *testing.T) {
	for name, cfg := range map[string]Config{"past": past(), "present": present()} {
		t.Run(name, func(t *testing.T) {
			last, n := cfg.Start, 0
			for e := range Events(cfg) {
				var x schemas.Event
				if err := schemas.Decode(e.JSON, &x); err != nil {
					t.Fatalf("%v in %s", err, e.JSON)
				}
				if e.Time.Before(last) || !e.Time.Before(cfg.Start.Add(cfg.Length)) {
					t.Fatalf("%s lies before the one before it, or outside the stretch", e.JSON)
				}
				last, n = e.Time, n+1
			}
			if n < 100 {
				t.Errorf("only %d events", n)
			}
		})
	}
}

// A lane takes a second record of an id for a double, so no two stretches of one
// platform may share one.
func TestIDsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, cfg := range []Config{past(), present()} {
		for e := range Events(cfg) {
			var x schemas.Event
			if err := schemas.Decode(e.JSON, &x); err != nil {
				t.Fatal(err)
			}
			if seen[x.ID] {
				t.Fatalf("id %s stands twice", x.ID)
			}
			seen[x.ID] = true
		}
	}
}

func TestSameSeedSameEvents(t *testing.T) {
	play := func(seed uint64) []byte {
		cfg := present()
		cfg.Seed = seed
		var all bytes.Buffer
		for e := range Events(cfg) {
			all.Write(e.JSON)
		}
		return all.Bytes()
	}
	if !bytes.Equal(play(3), play(3)) {
		t.Error("one seed gave two lives")
	}
	if bytes.Equal(play(3), play(4)) {
		t.Error("two seeds gave one life")
	}
}
