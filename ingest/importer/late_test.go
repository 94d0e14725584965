package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/ingest/history"
	"holdfast/ingest/intake"
	"holdfast/ingest/intake/intaketest"
)

// recorded is an audit store.
type recorded struct {
	of    map[string]history.Seen
	err   error
	asked []time.Time // arrivals
	names int
}

func (r *recorded) Before(_ context.Context, entities []string, arrival time.Time) (map[string]history.Seen, error) {
	r.asked, r.names = append(r.asked, arrival), r.names+len(entities)
	out := map[string]history.Seen{}
	for _, name := range entities {
		if s, ok := r.of[name]; ok {
			out[name] = s
		}
	}
	return out, r.err
}

// logins are an entity's logins, so many days before now each.
func logins(field, id string, days ...float64) []byte {
	var b bytes.Buffer
	for i, d := range days {
		at := intaketest.Now.Add(-time.Duration(d * float64(24*time.Hour)))
		fmt.Fprintf(&b, `{"id":"%s-%d","type":"login",%q:%q,"time":%q,"user":"u","outcome":"success"}`+"\n", id, i, field, id, at.UTC().Format(time.RFC3339))
	}
	return b.Bytes()
}

func seen(first, last float64, imported bool) history.Seen {
	at := func(d float64) int64 {
		return intaketest.Now.Add(-time.Duration(d * float64(24*time.Hour))).UnixMilli()
	}
	return history.Seen{First: at(first), Last: at(last), Imported: imported}
}

// What teaches nothing is counted as detection counts it.
func TestRecordsThatTeachNothing(t *testing.T) {
	past := map[string]history.Seen{
		"account:old":      seen(30, 1, false),
		"account:new":      seen(6, 0, false),
		"account:brought":  seen(6, 0, true),
		"account:guessed":  {Last: intaketest.Now.UnixMilli()},
		"employee:ada":     seen(1, 0, false),
		"account:quiet":    seen(60, 40, false),
		"account:at-seven": seen(7, 0, false),
	}
	for _, c := range []struct {
		name           string
		field, id      string
		days           []float64
		late, unsorted int64
	}{
		{"nothing was recorded", "account", "unknown", []float64{40, 30, 20}, 0, 0},
		{"it is older than seven days", "account", "old", []float64{40, 30, 20}, 3, 0},
		{"some of it is later", "account", "old", []float64{40, 30, 0.9, 0.5}, 2, 0},
		{"some of it is within the lateness", "account", "old", []float64{1.006, 1.008}, 1, 0},
		{"it is new", "account", "new", []float64{40, 30, 20}, 0, 0},
		{"it is seven days old", "account", "at-seven", []float64{40, 30, 20}, 0, 0},
		{"it is new, and the history not sorted", "account", "new", []float64{20, 30, 40}, 0, 2},
		{"it is new, and something later comes first", "account", "new", []float64{0, 30, 20}, 2, 0},
		{"it is new, and has its history", "account", "brought", []float64{40, 30}, 2, 0},
		{"it was only guessed at", "account", "guessed", []float64{40, 30}, 0, 0},
		{"an employee is never new", "employee", "ada", []float64{40, 30}, 2, 0},
		{"it has been quiet since", "account", "quiet", []float64{39, 30}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := func(live bool) Summary {
				b := &intaketest.Broker{Lanes: 2}
				d := deps(intaketest.Producer(t, b, intake.Config{}))
				d.Past = &recorded{of: past}
				sum, err := Run(t.Context(), Config{Files: []string{write(t, "a.ndjson", logins(c.field, c.id, c.days...))}, Live: live}, d)
				if err != nil {
					t.Fatal(err)
				}
				return sum
			}
			sum := run(false)
			if sum.Late != c.late || sum.Unsorted != c.unsorted || sum.Accepted != int64(len(c.days)) {
				t.Errorf("%+v, want %d late and %d unsorted", sum.Counts, c.late, c.unsorted)
			}
			whose := Whose{Accounts: 1, Named: []string{c.field + ":" + c.id}}
			if c.field == "employee" {
				whose.Accounts, whose.Employees = 0, 1
			}
			var want Untaught
			if c.late > 0 {
				want.Late = whose
			}
			if c.unsorted > 0 {
				want.Unsorted = whose
			}
			if diff := cmp.Diff(want, sum.Untaught); diff != "" {
				t.Errorf("of whom (-want +got):\n%s", diff)
			}
			if sum := run(true); sum.Late+sum.Unsorted != 0 {
				t.Errorf("live: %+v", sum.Counts)
			}
		})
	}
}

// Addresses have no baseline, each account is asked for once, and a store that is away
// ends no import.
func TestTheStoreIsAskedOnce(t *testing.T) {
	connection := `{"id":"c","type":"connection","time":"2026-03-01T11:00:08Z","ip":"192.0.2.1","protocol":"smtp","state":"open","duration_ms":1}` + "\n"
	data := append(events(500), connection...)
	past := &recorded{}
	for _, err := range []error{nil, errors.New("connection refused")} {
		past.asked, past.names, past.err = nil, 0, err
		d := deps(intaketest.Producer(t, &intaketest.Broker{Lanes: 2}, intake.Config{}))
		d.Past = past
		sum, failed := Run(t.Context(), Config{Files: []string{write(t, "a.ndjson", data), write(t, "b.ndjson", data)}}, d)
		if failed != nil || sum.Accepted != 1002 || sum.Late+sum.Unsorted != 0 {
			t.Errorf("%+v, %v", sum.Counts, failed)
		}
		if len(past.asked) != 1 || past.names != 100 {
			t.Errorf("asked %d times, for %d names", len(past.asked), past.names)
		}
		if u := sum.Untaught; !errors.Is(u.Err, err) || (err == nil) != (u.Unchecked == 0) || err != nil && u.Unchecked != 1000 {
			t.Errorf("unchecked: %+v", u)
		}
	}
}

// An import that goes on does not take what its earlier run brought for what was recorded
// before it, and its summary keeps what that run counted.
func TestWhatTeachesNothingIsKeptWhenAnImportGoesOn(t *testing.T) {
	dir := t.TempDir()
	ids := slices.Concat(logins("account", "old", 40), bytes.Repeat(events(1), 30_000), logins("account", "old", 30))
	path := write(t, "a.ndjson", ids)
	past := &recorded{of: map[string]history.Seen{"account:old": seen(20, 1, false)}}
	b := &intaketest.Broker{Lanes: 1}
	ctx, cancel := context.WithCancel(t.Context())
	cfg := Config{Files: []string{path}, Progress: filepath.Join(dir, "progress.json")}
	d := deps(intaketest.Producer(t, b, intake.Config{}))
	d.Past, d.Progress = past, func(Progress) { cancel() }
	if _, err := Run(ctx, cfg, d); !errors.Is(err, context.Canceled) {
		t.Fatalf("the first run ends with %v", err)
	}
	d.Progress = nil
	sum, err := Run(t.Context(), cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Resumed.Late != 1 || sum.Late != 1 {
		t.Errorf("earlier %+v, then %+v", sum.Resumed, sum.Counts)
	}
	for _, at := range past.asked {
		if !at.Equal(past.asked[0]) {
			t.Errorf("asked for what arrived before %v and before %v", past.asked[0], at)
		}
	}
}
