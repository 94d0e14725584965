package lane_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/ingest/lane"
	"holdfast/schemas"
)

// endlessFold comes to no end with one event until it is told to.
type endlessFold struct {
	*countFold
	id  string
	end chan struct{}
}

func (f *endlessFold) Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	if in.ID == f.id {
		<-f.end
	}
	return f.countFold.Apply(in, emit)
}

// stuck runs lanes of which one comes to no end with a record, and the log beside them.
func stuck(t *testing.T, test func(s *stage, r *lane.Runner, log *bytes.Buffer, end func())) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{T: t, c: newCluster(), reg: prometheus.NewRegistry()}
		end := make(chan struct{})
		var log bytes.Buffer
		cfg := lane.Config{Role: lane.Detect(), Lanes: laneCount, Prefix: prefix}
		cfg.Reach(reach, block)
		r, err := lane.New(cfg, lane.Deps{Broker: s.c.Client("one"), Registerer: s.reg, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			NewFold: func(int32) lane.Fold { return &endlessFold{newCountFold(), "poison", end} }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		s.stop = func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		s.settle()
		s.event(0, ownKey(0), "before", "x")
		s.event(0, ownKey(0), "poison", "x")
		s.event(0, ownKey(0), "behind", "x")
		s.event(1, ownKey(1), "neighbour", "x")
		test(s, r, &log, func() { close(end) })
		synctest.Wait()
	})
}

// A record that a fold takes no end with is named, once, and costs its neighbours in
// other lanes nothing. When the fold goes on after all, so does the lane.
func TestWatchdogNamesTheRecord(t *testing.T) {
	stuck(t, func(s *stage, r *lane.Runner, log *bytes.Buffer, end func()) {
		time.Sleep(8 * time.Second)
		if got := r.Stuck(); len(got) != 0 {
			t.Errorf("after 8 s %v", got)
		}
		time.Sleep(4 * time.Second)
		got := r.Stuck()
		if len(got) != 1 || got[0].Offset != 1 || got[0].Partition != 0 || got[0].Topic != schemas.TopicEvents || got[0].Key != ownKey(0) ||
			got[0].ID != "poison" || got[0].Source != "here" || got[0].Role != "detect" {
			t.Errorf("stuck %+v", got)
		}
		if s.metric("stuck_seconds") < 10 {
			t.Errorf("stuck for %v s", s.metric("stuck_seconds"))
		}
		time.Sleep(time.Minute)
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "id=poison") {
			t.Errorf("%d errors in the log:\n%s", n, log)
		}
		s.wantSignals(ownKey(1) + "#1")
		end()
		s.settle()
		if len(r.Stuck()) != 0 || s.metric("stuck_seconds") != 0 {
			t.Errorf("still stuck %v", r.Stuck())
		}
		if len(s.signals()) != 4 {
			t.Errorf("in the end signals %q", s.signals())
		}
		s.stop()
	})
}

// A lane that does not stop keeps the process from ending only for so long.
func TestStuckLaneIsLeftBehind(t *testing.T) {
	stuck(t, func(s *stage, r *lane.Runner, log *bytes.Buffer, end func()) {
		time.Sleep(12 * time.Second)
		begun := time.Now()
		s.stop()
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("stopping took %s", took)
		}
		if !strings.Contains(log.String(), "left behind") {
			t.Errorf("the log does not say it:\n%s", log)
		}
		end()
	})
}

// What has long been folded is never named, however long a lane is idle.
func TestWatchdogPassesOverIdleLanes(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		s.event(0, ownKey(0), "e1", "x")
		time.Sleep(time.Minute)
		if s.metric("stuck_seconds") != 0 {
			t.Error("an idle lane counts as stuck")
		}
	})
}
