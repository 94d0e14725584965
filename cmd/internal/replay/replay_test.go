package replay

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/gzip"

	"holdfast/cmd/internal/traffic"
	"holdfast/schemas"
)

var begin = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// life is three weeks of a small platform whose last hour has a leaked key.
func life(incidents ...traffic.Incident) []byte {
	const weeks = 21 * 24 * time.Hour
	var b bytes.Buffer
	for e := range traffic.Events(traffic.Config{Seed: 3, Accounts: 20, Employees: 3, Start: begin.Add(-weeks), Length: weeks + time.Hour, Incidents: incidents}) {
		b.Write(e.JSON)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func decide(t *testing.T, data []byte) (Summary, []schemas.Decision, []byte) {
	t.Helper()
	var raw bytes.Buffer
	var out []schemas.Decision
	r, err := New(Config{}, Deps{Decisions: func(v []byte) error {
		raw.Write(v)
		var d schemas.Decision
		if err := json.Unmarshal(v, &d); err != nil {
			return err
		}
		out = append(out, d)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := r.Run(t.Context(), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return sum, out, raw.Bytes()
}

func stops(ds []schemas.Decision) []string {
	var out []string
	for _, d := range ds {
		if d.Verdict.Stops() {
			out = append(out, d.Entity.Key())
		}
	}
	return out
}

func TestLeakedKeyIsStoppedAndNobodyElse(t *testing.T) {
	_, ds, _ := decide(t, life(traffic.Leak(7, begin.Add(10*time.Minute), 30*time.Minute)))
	got := stops(ds)
	if len(got) == 0 || slices.ContainsFunc(got, func(k string) bool { return k != "account:"+traffic.AccountID(7) }) {
		t.Errorf("stopped %v, want only the account whose key leaked", got)
	}
}

func TestQuietLifeStopsNobody(t *testing.T) {
	if _, ds, _ := decide(t, life()); len(stops(ds)) != 0 {
		t.Errorf("stopped %v", stops(ds))
	}
}

func TestSameInputSameBytes(t *testing.T) {
	data := life(traffic.Botnet(4, 60, begin, 30*time.Minute))
	_, _, a := decide(t, data)
	_, _, b := decide(t, data)
	if len(a) == 0 || !bytes.Equal(a, b) {
		t.Errorf("two runs gave %d and %d bytes", len(a), len(b))
	}
}

// A bad line costs nobody else anything, and a doubled one changes nothing.
func TestBadAndDoubledLines(t *testing.T) {
	data := life(traffic.Leak(7, begin, 30*time.Minute))
	_, want, _ := decide(t, data)
	lines := strings.SplitAfter(string(data), "\n")
	var b strings.Builder
	for i, l := range lines {
		b.WriteString(l)
		switch i % 997 {
		case 0:
			b.WriteString(l)
		case 5:
			b.WriteString("{\"half\": \n")
		case 11:
			b.WriteString(strings.Repeat("x", schemas.MaxRecord+5) + "\n")
		}
	}
	sum, got, _ := decide(t, []byte(b.String()))
	if sum.Refused == 0 || sum.Duplicates == 0 {
		t.Errorf("refused %d, duplicates %d: the test spoils nothing", sum.Refused, sum.Duplicates)
	}
	id := func(d schemas.Decision) string { return d.ID }
	if a, b := ids(want, id), ids(got, id); !slices.Equal(a, b) {
		t.Errorf("decisions differ: %v and %v", a, b)
	}
}

func ids(ds []schemas.Decision, id func(schemas.Decision) string) []string {
	var out []string
	for _, d := range ds {
		out = append(out, id(d))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var events = flag.String("events", "", "what BenchmarkReplay replays, as holdfast simulate writes it (default: one account's life)")

func BenchmarkReplay(b *testing.B) {
	data := life()
	if *events != "" {
		f, err := os.Open(*events)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			b.Fatal(err)
		}
		if data, err = io.ReadAll(z); err != nil {
			b.Fatal(err)
		}
	}
	n := int64(bytes.Count(data, []byte("\n")))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r, err := New(Config{}, Deps{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Run(b.Context(), bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// Addresses' records among the others change nothing for these, and nothing is said twice.
func TestAddressesBesideAccounts(t *testing.T) {
	signals := func(data []byte) (out []string) {
		r, err := New(Config{}, Deps{Signals: func(v []byte) error {
			out = append(out, string(v))
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(t.Context(), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		slices.Sort(out)
		return out
	}
	data := life(traffic.Leak(7, begin, 30*time.Minute))
	var mixed bytes.Buffer
	for i, l := range bytes.SplitAfter(data, []byte("\n")) {
		mixed.Write(l)
		if i%3 == 0 {
			fmt.Fprintf(&mixed, `{"id":"c%d","time":"2026-04-13T12:00:00Z","type":"connection","ip":"192.0.2.1","state":"open"}`+"\n", i)
		}
	}
	want, got := signals(data), signals(mixed.Bytes())
	if len(want) == 0 || !slices.Equal(want, got) {
		t.Errorf("%d signals without addresses' records and %d with them", len(want), len(got))
	}
}
