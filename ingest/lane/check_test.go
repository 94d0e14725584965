package lane_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func kindOf(r *kafka.Record) schemas.Kind { return schemas.Kind(header(r, schemas.HeaderKind)) }

func header(r *kafka.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func cut(s string) (string, string) {
	a, b, _ := strings.Cut(s, "\x00")
	return a, b
}

// outcome is what of a world must not depend on faults.
type outcome struct {
	Signals, Decisions []string
	State              map[string]string
	Rejected, Poison   []string
	Status             map[string]verdict
}

func (w *world) outcome() outcome {
	signals, decisions := map[string]bool{}, map[string]bool{}
	rejected, poison := map[string]bool{}, map[string]bool{}
	o := outcome{State: map[string]string{}, Status: map[string]verdict{}}
	for p := range int32(laneCount) {
		for _, r := range w.c.Records(at(schemas.TopicInbox, p)) {
			if kindOf(&r) == schemas.KindSignal {
				signals[header(&r, schemas.HeaderID)] = true
			}
		}
		for _, r := range w.c.Records(at(schemas.TopicDecisions, p)) {
			if kindOf(&r) == schemas.KindDecision {
				decisions[header(&r, schemas.HeaderID)] = true
			}
		}
		for _, r := range w.c.Records(at(schemas.TopicRejected, p)) {
			var j schemas.Rejected
			must(json.Unmarshal(r.Value, &j))
			rejected[fmt.Sprint(j.Topic, " ", j.Partition, " ", j.Offset)] = true
		}
		for _, r := range w.c.Records(at(schemas.TopicEvents, p)) {
			if strings.HasPrefix(string(r.Value), "{bad") {
				poison[fmt.Sprint("events ", p, " ", r.Offset)] = true
			}
		}
		for _, r := range w.c.Records(at(schemas.TopicStatus, p)) {
			if kindOf(&r) == schemas.KindStatus {
				var s schemas.Status
				must(json.Unmarshal(r.Value, &s))
				o.Status[string(r.Key)] = verdict{Verdict: s.Status, Episode: s.Episode, Rank: s.Step}
			}
		}
		w.state(p, o.State)
	}
	o.Signals, o.Decisions = sortedKeys(signals), sortedKeys(decisions)
	o.Rejected, o.Poison = sortedKeys(rejected), sortedKeys(poison)
	return o
}

// state reads the detect lanes' saved state.
func (w *world) state(p int32, into map[string]string) {
	for _, r := range w.c.Records(at(schemas.TopicStateDetect, p)) {
		if kindOf(&r) == schemas.KindFence {
			continue
		}
		frame, err := schemas.ParseStateFrame(r.Value)
		must(err)
		if strings.HasSuffix(string(r.Key), partIPs) {
			ips := map[string]bool{}
			must(json.Unmarshal(frame.Payload, &ips))
			into[string(r.Key)] = fmt.Sprint(sortedKeys(ips))
			continue
		}
		var s detectState
		must(json.Unmarshal(frame.Payload, &s))
		into[string(r.Key)] = s.summary()
	}
}

// foldOfLog folds the inbox as it stands now, without any fault: with doubles known
// over the reach, or over all.
func (w *world) foldOfLog(everywhere bool) (decisions []string, status map[string]verdict) {
	ids := map[string]bool{}
	status = map[string]verdict{}
	for p := range int32(laneCount) {
		last := map[string]int64{}
		states := map[string]*respondState{}
		for _, r := range w.c.Records(at(schemas.TopicInbox, p)) {
			if kindOf(&r) == schemas.KindFence {
				continue
			}
			id := header(&r, schemas.HeaderID)
			before, known := last[id]
			last[id] = r.Offset
			if known && (everywhere || r.Offset-before <= reach) {
				continue
			}
			var s signal
			must(json.Unmarshal(r.Value, &s))
			e := states[string(r.Key)]
			if e == nil {
				e = &respondState{}
				states[string(r.Key)] = e
			}
			for _, v := range e.fold(kindOf(&r), string(r.Key), &s, false) {
				ids[v.ID] = true
				status[v.Key] = verdict{Verdict: v.Verdict, Episode: v.Episode, Rank: v.Rank}
			}
		}
	}
	return sortedKeys(ids), status
}

// wentBack lists the values of the status topic, also those that compaction took,
// that were older than one before.
func (w *world) wentBack() (back []string) {
	for p := range int32(laneCount) {
		top := map[string]schemas.Status{}
		for _, r := range w.c.Written(at(schemas.TopicStatus, p)) {
			if kindOf(&r) == schemas.KindFence {
				continue
			}
			var s schemas.Status
			must(json.Unmarshal(r.Value, &s))
			if t, ok := top[string(r.Key)]; ok && t.Newer(s) {
				back = append(back, fmt.Sprintf("%s: %d/%d after %d/%d", r.Key, s.Episode, s.Step, t.Episode, t.Step))
				continue
			}
			top[string(r.Key)] = s
		}
	}
	return back
}

// verify plays a seed without and with faults and tells how they differ.
func verify(t *testing.T, seed uint64, without ablation) (wrong []string) {
	quiet := newWorld(t, seed, false, without)
	if quiet.play() {
		return []string{"stuck without faults"}
	}
	harmed := newWorld(t, seed, true, without)
	if harmed.play() {
		return []string{"stuck"}
	}
	a, b := quiet.outcome(), harmed.outcome()
	differ := func(what string, x, y any) {
		if d := cmp.Diff(x, y); d != "" {
			wrong = append(wrong, what+" (- without faults, + with):\n"+d)
		}
	}
	differ("signals", a.Signals, b.Signals)
	differ("state", a.State, b.State)
	differ("rejected", b.Poison, b.Rejected)
	decisions, status := harmed.foldOfLog(false)
	differ("decisions are not the fold of the log", decisions, b.Decisions)
	differ("status is not the last decision of the fold", status, b.Status)
	once, _ := harmed.foldOfLog(true)
	differ("one signal, two episodes", once, b.Decisions)
	differ("status went back", []string(nil), harmed.wentBack())
	return wrong
}

// seeds runs a test on as many seeds, each in a bubble of its own, and counts those
// that failed.
func seeds(t *testing.T, n int, f func(t *testing.T, seed uint64)) {
	first := 0
	if s := os.Getenv("LANE_SEED"); s != "" {
		var err error
		if first, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
		n = 1
	}
	if s := os.Getenv("LANE_SEEDS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, uint64(seed)) })
		})
	}
}

// TestFaults plays hundreds of logs with crashes, pauses, moves, compaction and a
// network that loses, delays and doubles, over the lane's own code, and compares with
// an undisturbed play. LANE_SEED plays one, or begins LANE_SEEDS of them.
func TestFaults(t *testing.T) {
	n := 300
	if testing.Short() {
		n = 30
	}
	seeds(t, n, func(t *testing.T, seed uint64) {
		for _, wrong := range verify(t, seed, ablation{}) {
			t.Errorf("seed %d: %s", seed, wrong)
		}
	})
}

// TestEachRuleIsNeeded takes one rule of the design away at a time: some seed must
// then fail, or TestFaults would show nothing.
func TestEachRuleIsNeeded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	for name, test := range map[string]struct {
		without ablation
		shows   string // in what
	}{
		"fence":           {without: ablation{rules: []string{"fence"}}},
		"block":           {without: ablation{rules: []string{"block"}}},
		"ack before save": {without: ablation{rules: []string{"ack before save"}}},
		// What was published before a restart is withheld ("once"), which hides both of
		// these. Beginning at the block's start would send most rejected records again.
		"ack before commit": {without: ablation{rules: []string{"ack before commit", "block", "once"}}, shows: "rejected"},
		"restart":           {without: ablation{rules: []string{"restart", "check"}}, shows: "stuck"},
		"guard":             {without: ablation{rules: []string{"guard"}}},
		"parts together":    {without: ablation{rules: []string{"parts together"}}},
		"seen signals":      {without: ablation{forgetSeen: true, rules: []string{"once"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(1000) {
				var wrong []string
				synctest.Test(t, func(t *testing.T) { wrong = verify(t, seed, test.without) })
				for _, w := range wrong {
					if strings.HasPrefix(w, test.shows) {
						t.Logf("seed %d shows it: %s", seed, firstLine(w))
						return
					}
				}
			}
			t.Error("no seed fails without this rule")
		})
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
