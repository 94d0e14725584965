package lane_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"holdfast/ingest/kafka"
	"holdfast/ingest/lane"
	"holdfast/ingest/lane/memlog"
	"holdfast/schemas"
)

// stage is one runner of the counting fold on a broker in memory that answers at
// once, in a bubble whose time passes when nothing else happens.
type stage struct {
	*testing.T
	c    *memlog.Cluster
	reg  *prometheus.Registry
	stop func()
	fold func(int32) lane.Fold
}

// onStage runs a test in a bubble; what before writes stands there when the lanes
// begin.
func onStage(t *testing.T, before func(s *stage), test func(s *stage)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{T: t, c: newCluster(), fold: func(int32) lane.Fold { return newCountFold() }}
		if before != nil {
			before(s)
		}
		s.start()
		defer func() { s.stop() }()
		test(s)
	})
}

func (s *stage) start() {
	s.reg = prometheus.NewRegistry()
	cfg := lane.Config{Role: lane.Detect(), Lanes: laneCount, Prefix: prefix}
	cfg.Reach(reach, block)
	r, err := lane.New(cfg, lane.Deps{Broker: s.c.Client("one"), NewFold: s.fold, Registerer: s.reg})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	s.stop = func() {
		cancel()
		if err, ok := <-ended; ok && err != nil {
			s.Error(err)
		}
		close(ended)
		s.stop = func() {}
	}
}

// restart stops the runner in good order and starts another.
func (s *stage) restart() {
	s.stop()
	s.start()
	s.settle()
}

// settle lets enough time pass for all to be folded, saved and committed.
func (s *stage) settle() {
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

func (s *stage) event(p int32, key, id, value string) {
	rec := kafka.Record{Value: []byte(value), Headers: []kafka.Header{
		{Key: schemas.HeaderKind, Value: []byte(schemas.KindEvent)}, {Key: schemas.HeaderSource, Value: []byte("here")},
	}}
	if key != "" {
		rec.Key = []byte(key)
	}
	if id != "" {
		rec.Headers = append(rec.Headers, kafka.Header{Key: schemas.HeaderID, Value: []byte(id)})
	}
	s.c.Append(at(schemas.TopicEvents, p), rec)
}

// signals lists the signals there are, each once.
func (s *stage) signals() []string {
	ids := map[string]bool{}
	for p := range int32(laneCount) {
		for _, r := range s.c.Records(at(schemas.TopicInbox, p)) {
			if kindOf(&r) == schemas.KindSignal {
				ids[header(&r, schemas.HeaderID)] = true
			}
		}
	}
	return sortedKeys(ids)
}

func (s *stage) wantSignals(want ...string) {
	s.Helper()
	if got := s.signals(); !slices.Equal(got, want) {
		s.Errorf("signals %q, must be %q", got, want)
	}
}

// rejected lists what was rejected, by offset.
func (s *stage) rejected() (out []schemas.Rejected) {
	for p := range int32(laneCount) {
		for _, r := range s.c.Records(at(schemas.TopicRejected, p)) {
			var j schemas.Rejected
			if err := json.Unmarshal(r.Value, &j); err != nil {
				s.Fatal(err)
			}
			if j.ID != header(&r, schemas.HeaderID) || kindOf(&r) != schemas.KindRejected {
				s.Errorf("the rejected record %s has headers %s", j.ID, r.Headers)
			}
			out = append(out, j)
		}
	}
	slices.SortFunc(out, func(a, b schemas.Rejected) int { return int(a.Offset - b.Offset) })
	return out
}

func (s *stage) metric(name string) float64 {
	s.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		s.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "holdfast_lane_"+name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// ownKey makes a key that maps to a lane.
func ownKey(p int32) string {
	for i := 0; ; i++ {
		if key := fmt.Sprint("account:", i); kafka.Partition([]byte(key), laneCount) == p {
			return key
		}
	}
}

func TestDoublesWithinReach(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		key := ownKey(0)
		s.event(0, key, "a", "x")
		s.event(0, key, "a", "x")
		s.settle()
		s.restart() // the ids before are known again
		s.event(0, key, "a", "x")
		s.event(0, key, "", "x") // without an id nothing can be known
		s.event(0, key, "", "x")
		s.settle()
		s.wantSignals(signalID(key, 1), signalID(key, 2), signalID(key, 3))
		// The lane began again at the block's start, so it met the first double again.
		if got := s.metric("duplicates_total"); got != 2 {
			s.Errorf("%g duplicates counted since the restart, must be 2", got)
		}
		for n := range reach {
			s.event(0, key, fmt.Sprint("b", n), "x")
		}
		s.event(0, key, "a", "x") // beyond reach
		s.settle()
		if got := len(s.signals()); got != 3+reach+1 {
			s.Errorf("%d signals, must be %d", got, 3+reach+1)
		}
	})
}

func TestPoisonIsRejectedAndTheLaneGoesOn(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		key := ownKey(0)
		s.event(0, key, "a", "bad")
		s.event(0, key, "b", "panic")
		s.event(0, "", "c", "no key")
		big := strings.Repeat("y", schemas.MaxRecord+1)
		s.event(0, key, "d", big)
		s.event(0, key, "e", "x")
		s.settle()
		s.wantSignals(signalID(key, 1))
		got := s.rejected()
		want := []schemas.Reason{schemas.ReasonNotJSON, lane.ReasonPanic, schemas.ReasonWrongKey, schemas.ReasonTooLarge}
		if len(got) != len(want) {
			s.Fatalf("rejected: %+v", got)
		}
		for n, r := range got {
			if r.Reason != want[n] || r.Offset != int64(n) || r.Topic != "events" || r.Partition != 0 || r.Source != "here" || r.Detail == "" {
				s.Errorf("rejected %d: %s %s/%d/%d from %q: %s", n, r.Reason, r.Topic, r.Partition, r.Offset, r.Source, r.Detail)
			}
		}
		sum := sha256.Sum256([]byte(big))
		if r := got[3]; len(r.Head) != lane.RejectedHead || r.Size != len(big) || r.SHA256 != hex.EncodeToString(sum[:]) {
			s.Errorf("of the big record %d bytes are kept, size %d, SHA-256 %s", len(r.Head), r.Size, r.SHA256)
		}
		if s.metric("rejected_total") != 4 || s.metric("panics_total") != 1 {
			s.Errorf("counted %g rejected, %g panics", s.metric("rejected_total"), s.metric("panics_total"))
		}
		if got := s.c.Committed(prefix+"detect", at(schemas.TopicEvents, 0)); got != 5 {
			s.Errorf("committed up to %d, must be 5", got)
		}
	})
}

func TestMisplacedRecordsAreForwarded(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		key := ownKey(1)
		s.event(0, key, "a", "x")
		s.event(0, key, "a", "x") // a double is not forwarded again
		s.settle()
		recs := s.c.Records(at(schemas.TopicEvents, 1))
		if len(recs) != 1 || string(recs[0].Key) != key || string(recs[0].Value) != "x" ||
			header(&recs[0], schemas.HeaderID) != "a" || header(&recs[0], schemas.HeaderSource) != "here" {
			s.Errorf("forwarded: %v", recs)
		}
		s.wantSignals(signalID(key, 1))
		if got := s.metric("forwarded_total"); got != 1 {
			s.Errorf("%g forwarded counted, must be 1", got)
		}
	})
}

func TestLaneBelowTheLogsBeginning(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		key := ownKey(0)
		for n := range 12 {
			s.event(0, key, fmt.Sprint(n), "x")
		}
		s.settle()
		s.stop()
		for n := range 10 {
			s.event(0, key, fmt.Sprint("lost", n), "x")
		}
		s.c.Truncate(at(schemas.TopicEvents, 0), 20)
		s.start()
		s.settle()
		if got := len(s.signals()); got != 12+2 {
			s.Errorf("%d signals: 12 before the gap and 2 behind it are to be seen", got)
		}
		var gaps []schemas.Gap
		for p := range int32(laneCount) {
			for _, r := range s.c.Records(at(schemas.TopicGaps, p)) {
				var g schemas.Gap
				must(json.Unmarshal(r.Value, &g))
				gaps = append(gaps, g)
			}
		}
		if len(gaps) != 1 || gaps[0].From != 12 || gaps[0].To != 20 || gaps[0].Topic != schemas.TopicEvents || gaps[0].Partition != 0 || gaps[0].Reason == "" {
			s.Errorf("gaps: %+v", gaps)
		}
	})
}

// orderFold notes what it is told, in order.
type orderFold struct {
	*countFold
	told *[]string
}

func (f orderFold) Control(key string, value []byte) error {
	*f.told = append(*f.told, "control "+key+" "+string(value))
	if string(value) == "refused" {
		return fmt.Errorf("not that")
	}
	return nil
}

func (f orderFold) Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	*f.told = append(*f.told, "event "+in.ID)
	return f.countFold.Apply(in, emit)
}

func TestControlComesBeforeEvents(t *testing.T) {
	var told []string
	control := func(s *stage, key, value string) {
		s.c.Append(at(schemas.TopicControl, 0), kafka.Record{Key: []byte(key), Value: []byte(value)})
	}
	onStage(t, func(s *stage) {
		s.fold = func(n int32) lane.Fold {
			if n != 0 {
				return newCountFold()
			}
			return orderFold{newCountFold(), &told}
		}
		s.event(0, ownKey(0), "a", "x")
		control(s, "p", "1")
	}, func(s *stage) {
		s.settle()
		control(s, "p", "2")
		control(s, "p", "refused")
		s.event(0, ownKey(0), "b", "x")
		s.settle()
		want := []string{"control p 1", "event a", "control p 2", "control p refused", "event b"}
		if !slices.Equal(told, want) {
			s.Errorf("told %q, must be %q", told, want)
		}
		if got := s.metric("control_errors_total"); got != 1 {
			s.Errorf("%g control errors counted", got)
		}
	})
}

func TestDamagedStateIsAGap(t *testing.T) {
	onStage(t, func(s *stage) {
		s.c.Append(at(schemas.TopicStateDetect, 0), kafka.Record{Key: []byte("account:x"), Value: []byte("not a frame at all")})
	}, func(s *stage) {
		s.event(0, ownKey(0), "a", "x")
		s.settle()
		s.wantSignals(signalID(ownKey(0), 1))
		if got := s.metric("gaps_total"); got != 1 {
			s.Errorf("%g gaps counted, must be 1", got)
		}
	})
}

// TestFencedBySomebody takes the producer of a working lane away: the lane, which the
// group still gives to its process, begins again.
func TestFencedBySomebody(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		key, other := ownKey(0), s.c.Client("other")
		s.event(0, key, "a", "x")
		s.settle()
		p, err := other.InitProducer(context.Background(), "holdfast-detect-0")
		must(err)
		_, err = other.Produce(context.Background(), at(schemas.TopicInbox, 0), p, 0, []kafka.Record{{Key: []byte("fence"), Headers: []kafka.Header{
			{Key: schemas.HeaderKind, Value: []byte(schemas.KindFence)}}}})
		must(err)
		s.event(0, key, "b", "x")
		s.settle()
		s.wantSignals(signalID(key, 1), signalID(key, 2))
		if got := s.metric("restarts_total"); got != 1 {
			s.Errorf("%g restarts counted, must be 1", got)
		}
	})
}

func TestEpochIsRenewedDaily(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		key := ownKey(0)
		for day := range 3 {
			s.event(0, key, fmt.Sprint(day), "x")
			time.Sleep(24*time.Hour + time.Minute)
		}
		s.settle()
		s.wantSignals(signalID(key, 1), signalID(key, 2), signalID(key, 3))
		fences := 0
		for _, r := range s.c.Records(at(schemas.TopicInbox, 0)) {
			if kindOf(&r) == schemas.KindFence {
				fences++
			}
		}
		if fences != 4 {
			s.Errorf("%d fences in three days, must be 4", fences)
		}
	})
}

func TestMetricsOfAWorkingLane(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		for n := range 8 {
			s.event(0, ownKey(0), fmt.Sprint(n), "x")
		}
		s.settle()
		for name, want := range map[string]float64{
			"records_total": 10, "outputs_total": 10, "output_seconds": 10, "lanes": laneCount, "lag_records": 0, "unsaved_seconds": 0, "restarts_total": 0,
		} {
			if got := s.metric(name); got != want {
				s.Errorf("%s is %g, must be %g", name, got, want)
			}
		}
		if s.metric("saved_entities_total") == 0 || s.metric("save_batches_total") == 0 {
			s.Error("no save is counted")
		}
		if problems, err := testutil.GatherAndLint(s.reg); err != nil || len(problems) > 0 {
			s.Errorf("%v %v", problems, err)
		}
		s.stop()
		if got := testutil.CollectAndCount(gauges{s.reg}, "holdfast_lane_lag_records"); got != 0 {
			s.Errorf("%d lags are shown by a process without lanes", got)
		}
	})
}

// gauges collects what a registry has.
type gauges struct{ *prometheus.Registry }

func TestTopicsThatDiffer(t *testing.T) {
	for name, lanes := range map[string]int{"more lanes": laneCount + 1, "fewer lanes": laneCount - 1} {
		r, err := lane.New(lane.Config{Role: lane.Detect(), Lanes: lanes, Prefix: prefix},
			lane.Deps{Broker: newCluster().Client("one"), NewFold: func(int32) lane.Fold { return newCountFold() }})
		must(err)
		if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "partitions") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, cfg := range map[string]lane.Config{"no lanes": {Role: lane.Detect()}, "no role": {Lanes: 1}} {
		if _, err := lane.New(cfg, lane.Deps{Broker: newCluster().Client("one"), NewFold: func(int32) lane.Fold { return nil }}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := lane.New(lane.Config{Role: lane.Gate(), Lanes: 1}, lane.Deps{}); err == nil {
		t.Error("no broker: no error")
	}
}

// keepingFold keeps what it is given, as a careless fold might, and hands it out
// later.
type keepingFold struct {
	*countFold
	keys map[string]bool
}

func (f keepingFold) Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	f.keys[in.Key] = true
	emit(schemas.Output{Topic: schemas.TopicInbox, Kind: in.Kind, ID: in.ID, Key: in.Key, Source: in.Source, Origin: in.Origin, Value: in.Value})
	return true, nil
}

func (f keepingFold) Save(string, func(string, []byte)) error { return nil }

// TestNothingPointsIntoFetchedMemory hands inputs on as outputs while the memory that
// they came in is used again, which the broker in memory overwrites.
func TestNothingPointsIntoFetchedMemory(t *testing.T) {
	keys := map[string]bool{}
	onStage(t, func(s *stage) {
		s.fold = func(n int32) lane.Fold {
			if n != 0 {
				return newCountFold()
			}
			return keepingFold{newCountFold(), keys}
		}
	}, func(s *stage) {
		key := ownKey(0)
		for n := range 300 {
			s.event(0, key, fmt.Sprint("id", n), fmt.Sprint("value", n))
			if n%7 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		s.settle()
		if len(keys) != 1 || !keys[key] {
			s.Errorf("kept keys: %q", sortedKeys(keys))
		}
		n := 0
		for _, r := range s.c.Records(at(schemas.TopicInbox, 0)) {
			if kindOf(&r) != schemas.KindEvent {
				continue
			}
			if header(&r, schemas.HeaderID) != fmt.Sprint("id", n) || string(r.Value) != fmt.Sprint("value", n) ||
				string(r.Key) != key || header(&r, schemas.HeaderSource) != "here" || bytes.ContainsRune(r.Value, 0xdd) {
				s.Fatalf("output %d is %v", n, r)
			}
			n++
		}
		if n != 300 {
			s.Errorf("%d outputs, must be 300", n)
		}
	})
}
