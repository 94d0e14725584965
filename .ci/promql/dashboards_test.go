// Package promql runs every PromQL expression of deploy/grafana with Prometheus' own
// engine. It is a module of its own, so that nothing of Prometheus is linked into Holdfast.
package promql

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

const root = "../.."

// metrics reads the reference of metrics: the labels of each, by its name.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(root + "/deploy/docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(string(b), -1) {
		out[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
	}
	if len(out) < 50 {
		t.Fatalf("the reference has %d metrics", len(out))
	}
	return out
}

// series gives each metric three series whose values grow, of the kind that its name says;
// histograms are those that an expression asks buckets of.
func series(names map[string][]string, from, to time.Time) (out store) {
	add := func(name string, lbls []string, i int, more ...string) {
		pairs := append([]string{labels.MetricName, name, "job", "holdfast", "instance", fmt.Sprintf("host-%d:9090", i)}, more...)
		for _, l := range lbls {
			pairs = append(pairs, l, fmt.Sprintf("%s-%d", l, i))
		}
		var all []chunks.Sample
		for n, at := 0, from; !at.After(to); n, at = n+1, at.Add(15*time.Second) {
			all = append(all, sample{at.UnixMilli(), float64(1 + n*(i+1))})
		}
		out = append(out, storage.NewListSeries(labels.FromStrings(pairs...), all))
	}
	for name, lbls := range names {
		for i := range 3 {
			add(name, lbls, i)
			if strings.HasSuffix(name, "_seconds") {
				for _, le := range []string{"0.1", "1", "+Inf"} {
					add(name+"_bucket", lbls, i, "le", le)
				}
				add(name+"_sum", lbls, i)
				add(name+"_count", lbls, i)
			}
		}
	}
	return out
}

type sample struct {
	t int64
	v float64
}

func (s sample) ST() int64                     { return 0 }
func (s sample) T() int64                      { return s.t }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// store answers with the series that match.
type store []*storage.SeriesEntry

func (s store) Querier(int64, int64) (storage.Querier, error) { return s, nil }
func (s store) Close() error                                  { return nil }
func (s store) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}
func (s store) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (s store) Select(_ context.Context, _ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := &found{at: -1}
	for _, x := range s {
		if !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(x.Lset.Get(m.Name)) }) {
			set.all = append(set.all, x)
		}
	}
	slices.SortFunc(set.all, func(a, b *storage.SeriesEntry) int { return labels.Compare(a.Lset, b.Lset) })
	return set
}

type found struct {
	all []*storage.SeriesEntry
	at  int
}

func (f *found) Next() bool                        { f.at++; return f.at < len(f.all) }
func (f *found) At() storage.Series                { return f.all[f.at] }
func (f *found) Err() error                        { return nil }
func (f *found) Warnings() annotations.Annotations { return nil }

// histograms are named where they are declared.
func histograms(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"alerting", "detectors", "ingest", "cmd"} {
		err := filepath.WalkDir(root+"/"+dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			b, err := os.ReadFile(path)
			for line := range strings.Lines(string(b)) {
				if strings.Contains(line, "istogram") {
					all.WriteString(line)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// Every expression is parsed, names only metrics and labels that there are, takes rates of
// counters alone, and gives values where all metrics have some.
func TestExpressionsOfDashboards(t *testing.T) {
	names := metrics(t)
	declared := histograms(t)
	to := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	data := series(names, to.Add(-time.Hour), to)
	p := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: p})
	t.Cleanup(func() { _ = engine.Close() })
	asked := 0
	for file, exprs := range expressions(t) {
		for _, text := range exprs {
			asked++
			text = strings.NewReplacer("$__rate_interval", "1m", "$__interval", "15s", "$__range", "1h").Replace(text)
			e, err := p.ParseExpr(text)
			if err != nil {
				t.Errorf("%s: %s: %v", file, text, err)
				continue
			}
			check(t, file, text, e, names, declared)
			q, err := engine.NewRangeQuery(t.Context(), data, nil, text, to.Add(-10*time.Minute), to, time.Minute)
			if err != nil {
				t.Errorf("%s: %s: %v", file, text, err)
				continue
			}
			res := q.Exec(t.Context())
			m, err := res.Matrix()
			if err != nil || len(m) == 0 || len(res.Warnings.AsErrors()) > 0 {
				t.Errorf("%s: %s gives %d series, %v, %v", file, text, len(m), err, res.Warnings.AsErrors())
			}
			q.Close()
		}
	}
	if asked < 40 {
		t.Errorf("%d expressions were found", asked)
	}
}

func check(t *testing.T, file, text string, e parser.Expr, names map[string][]string, declared string) {
	t.Helper()
	var known []string
	counter := map[string]bool{}
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		s, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		name := s.Name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); base != name && names[base] != nil {
				if !strings.Contains(declared, `"`+base+`"`) && !strings.Contains(declared, `"`+strings.SplitN(base, "_", 3)[2]+`"`) {
					t.Errorf("%s: %s: %s is no histogram", file, text, base)
				}
				name, counter[s.Name] = base, true
				known = append(known, "le")
			}
		}
		lbls, ok := names[name]
		if !ok {
			t.Errorf("%s: %s: there is no metric %s", file, text, name)
		}
		known = append(append(known, lbls...), "job", "instance", labels.MetricName)
		for _, m := range s.LabelMatchers {
			if !slices.Contains(known, m.Name) {
				t.Errorf("%s: %s: %s has no label %s", file, text, name, m.Name)
			}
		}
		rated := false
		for _, up := range path {
			if c, ok := up.(*parser.Call); ok && slices.Contains([]string{"rate", "irate", "increase"}, c.Func.Name) {
				rated = true
			}
		}
		if is := counter[s.Name] || strings.HasSuffix(name, "_total"); rated != is {
			t.Errorf("%s: %s: %s is a counter: %v, and a rate of it is taken: %v", file, text, name, is, rated)
		}
		return nil
	})
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			for _, l := range a.Grouping {
				if !slices.Contains(known, l) {
					t.Errorf("%s: %s: no metric of it has the label %s", file, text, l)
				}
			}
		}
		return nil
	})
}

// expressions are those of all panels, by the dashboard's file.
func expressions(t *testing.T) map[string][]string {
	t.Helper()
	paths, err := filepath.Glob(root + "/deploy/grafana/dashboards/*.json")
	if err != nil || len(paths) < 3 {
		t.Fatal(paths, err)
	}
	out := map[string][]string{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		var d struct {
			Panels []struct {
				Targets []struct {
					Expr string `json:"expr"`
				} `json:"targets"`
			} `json:"panels"`
		}
		if err == nil {
			err = json.Unmarshal(b, &d)
		}
		if err != nil {
			t.Fatal(path, err)
		}
		for _, p := range d.Panels {
			for _, x := range p.Targets {
				if x.Expr != "" {
					out[filepath.Base(path)] = append(out[filepath.Base(path)], x.Expr)
				}
			}
		}
	}
	return out
}
