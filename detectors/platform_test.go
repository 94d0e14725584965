package detectors

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/schemas"
)

// TestPlatform runs a labelled set through one lane and logs what was found. It
// is for tuning: HOLDFAST_PLATFORM names the folder.
func TestPlatform(t *testing.T) {
	dir := os.Getenv("HOLDFAST_PLATFORM")
	if dir == "" {
		t.Skip("set HOLDFAST_PLATFORM to a folder with events.ndjson.gz and truth.csv to see what is found in it")
	}
	lines := readEvents(t, dir)
	r := newRouter(t, 1, 1)
	start := time.Now()
	for _, line := range lines {
		r.event(line)
	}
	decoded := time.Since(start)
	r.run()
	t.Logf("%d events, decoding %v, all %v, errors %d, %+v", len(lines), decoded, time.Since(start), len(r.errors), r.engines[0].Stats())
	report(t, dir, r)
}

func readEvents(t testing.TB, dir string) (lines [][]byte) {
	f, err := os.Open(filepath.Join(dir, "events.ndjson.gz"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(z)
	in.Buffer(nil, 2<<20)
	for in.Scan() {
		lines = append(lines, slices.Clone(in.Bytes()))
	}
	return lines
}

type span struct {
	key, kind  string
	start, end time.Time
}

func readSpans(t testing.TB, dir, name string) (out []span) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		from, _ := time.Parse(time.RFC3339, row[3])
		to, _ := time.Parse(time.RFC3339, row[4])
		out = append(out, span{row[0] + ":" + row[1], row[2], from, to})
	}
	return out
}

// report counts, for each kind of truth, how many had signals of one and of two
// families, and the accounts with such beside any truth.
func report(t testing.TB, dir string, r *router) {
	truth := readSpans(t, dir, "truth.csv")
	byEntity := map[string][]schemas.Signal{}
	for _, s := range r.signals {
		byEntity[s.Entity.Key()] = append(byEntity[s.Entity.Key()], s)
	}
	for _, list := range byEntity {
		slices.SortFunc(list, func(a, b schemas.Signal) int { return a.Time.Compare(b.Time) })
	}
	tally := map[string][]string{}
	for name, spans := range map[string][]span{"truth": truth, "trap": readSpans(t, dir, "traps.csv")} {
		counts := map[string]map[string]int{}
		for _, x := range spans {
			c := counts[x.kind]
			if c == nil {
				c = map[string]int{}
				counts[x.kind] = c
			}
			c["all"]++
			families, what := map[string]bool{}, map[string]bool{}
			for _, s := range byEntity[x.key] {
				if s.Time.Before(x.start.Add(-time.Hour)) || s.Time.After(x.end.Add(time.Hour)) {
					continue
				}
				families[string(s.Family)] = true
				what[fmt.Sprintf("%s%d", s.Detector, s.Level)] = true
				if s.Certain {
					c["certain"]++
				}
			}
			c[fmt.Sprintf("%d families", len(families))]++
			for w := range what {
				c[w]++
			}
		}
		for kind, c := range counts {
			tally[name] = append(tally[name], fmt.Sprintf("%-20s %v", kind, c))
		}
		slices.Sort(tally[name])
		t.Logf("%s:\n%s", name, strings.Join(tally[name], "\n"))
	}
	falsePairs(t, truth, byEntity)
}

// falsePairs counts the account-days outside every truth with signals of two families.
func falsePairs(t testing.TB, truth []span, byEntity map[string][]schemas.Signal) {
	days := map[string]map[string]bool{}
	perDetector := map[string]int{}
	for key, list := range byEntity {
	signals:
		for _, s := range list {
			for _, x := range truth {
				if x.key == key && !s.Time.Before(x.start) && !s.Time.After(x.end.Add(24*time.Hour)) {
					continue signals
				}
			}
			day := key + " " + s.Time.Format("2006-01-02")
			if days[day] == nil {
				days[day] = map[string]bool{}
			}
			days[day][string(s.Family)] = true
			if os.Getenv("HOLDFAST_VERBOSE") != "" {
				t.Logf("%s %s %s%d %s: %s", s.Time.Format(time.RFC3339), key, s.Detector, s.Level, s.Evidence.Window, s.Evidence.Text)
			}
			perDetector[fmt.Sprintf("%s%d", s.Detector, s.Level)]++
		}
	}
	one, two := 0, 0
	for _, f := range days {
		if len(f) > 1 {
			two++
		}
		one++
	}
	t.Logf("outside every truth: %d entity-days with a signal, %d with two families; signals %v", one, two, perDetector)
}
