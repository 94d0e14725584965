package lane_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
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

// choosy is a fold that cannot restore some values.
type choosy struct {
	lane.Fold
	refuse func(key string) error
}

func (c choosy) Restore(key string, value []byte) error {
	if err := c.refuse(key); err != nil {
		return err
	}
	return c.Fold.Restore(key, value)
}

// runChoosy starts a runner over a cluster and returns it and what Run returns.
func runChoosy(t *testing.T, c *memlog.Cluster, name string, refuse func(key string) error) (*lane.Runner, *prometheus.Registry, <-chan error) {
	reg := prometheus.NewRegistry()
	cfg := lane.Config{Role: lane.Detect(), Lanes: laneCount, Prefix: prefix}
	r, err := lane.New(cfg, lane.Deps{Broker: c.Client(name), Registerer: reg, NewFold: func(int32) lane.Fold { return choosy{newCountFold(), refuse} }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() { cancel(); synctest.Wait() })
	return r, reg, ended
}

// putState puts n state values on a partition, the first under a key of its own.
func putState(c *memlog.Cluster, p int32, first string, n int) {
	for i := range n {
		key := first
		if i > 0 {
			key = fmt.Sprintf("account:filler-%d", i)
		}
		c.Append(at(schemas.TopicStateDetect, p), kafka.Record{Key: []byte(key), Value: schemas.AppendStateFrame(nil, schemas.StateFrame{Version: 1, Payload: make([]byte, 8)})})
	}
}

func newer(bad string) func(string) error {
	return func(key string) error {
		if key == bad {
			return fmt.Errorf("its layout is 99: %w", schemas.ErrStateNewer)
		}
		return nil
	}
}

// State that only another version of the program reads keeps a process from joining
// where the newest values show it, and has it leave where a lane finds it later. The
// lanes go to a process that can read it.
func TestUnreadableStateIsLeftToOthers(t *testing.T) {
	for name, values := range map[string]int{"seen before joining": 3, "found by the lane": 500} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				putState(c, 1, "account:bad", values)
				_, _, ended := runChoosy(t, c, "old", newer("account:bad"))
				select {
				case err := <-ended:
					if !errors.Is(err, schemas.ErrStateNewer) || !strings.Contains(err.Error(), "role detect") || !strings.Contains(err.Error(), "account:bad") {
						t.Errorf("it ends with %v", err)
					}
				case <-time.After(time.Minute):
					t.Fatal("the process goes on over state that it cannot read")
				}
				able, _, _ := runChoosy(t, c, "new", func(string) error { return nil })
				time.Sleep(time.Minute)
				synctest.Wait()
				if h := able.Health(); !h.Ready() || h.Assigned != laneCount {
					t.Errorf("the process that can read it: %+v", h)
				}
			})
		})
	}
}

// What another version wrote of a key holds nobody up once a later value stands above it.
func TestUnreadableStateThatWasReplaced(t *testing.T) {
	for _, values := range []int{3, 500} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster()
			old := schemas.AppendStateFrame(nil, schemas.StateFrame{Version: 99, Payload: make([]byte, 8)})
			c.Append(at(schemas.TopicStateDetect, 1), kafka.Record{Key: []byte("account:bad"), Value: old})
			putState(c, 1, "account:good", values)
			putState(c, 1, "account:bad", 1)
			r, err := lane.New(lane.Config{Role: lane.Detect(), Lanes: laneCount, Prefix: prefix},
				lane.Deps{Broker: c.Client("one"), NewFold: func(int32) lane.Fold { return versioned{newCountFold()} }})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			time.Sleep(time.Minute)
			synctest.Wait()
			if h := r.Health(); !h.Ready() {
				t.Errorf("%d values: %+v", values, h)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// A level of the installation that the program does not know ends it, at the start and
// while it runs.
func TestLevelOfTheFutureEndsTheProcess(t *testing.T) {
	level := func(c *memlog.Cluster) {
		c.Append(at(schemas.TopicControl, 0), kafka.Record{Key: []byte(schemas.ControlLevel), Value: []byte(`{"level":99}`)})
	}
	for _, early := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster()
			if early {
				level(c)
			}
			reg := prometheus.NewRegistry()
			r, err := lane.New(lane.Config{Role: lane.Detect(), Lanes: laneCount, Prefix: prefix},
				lane.Deps{Broker: c.Client("one"), Registerer: reg, NewFold: func(int32) lane.Fold { return levelled{newCountFold()} }})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- r.Run(context.Background()) }()
			if !early {
				time.Sleep(30 * time.Second)
				level(c)
				c.Append(at(schemas.TopicEvents, 0), kafka.Record{Key: []byte("account:a"), Value: []byte("x")})
			}
			select {
			case err := <-ended:
				if !errors.Is(err, schemas.ErrStateNewer) {
					t.Errorf("early %v: it ends with %v", early, err)
				}
			case <-time.After(5 * time.Minute):
				t.Fatalf("early %v: the process goes on", early)
			}
		})
	}
}

// versioned is a fold that knows one layout.
type versioned struct{ lane.Fold }

func (v versioned) Restore(key string, value []byte) error {
	if f, err := schemas.ParseStateFrame(value); err == nil && f.Version == 99 {
		return schemas.UnreadableLayout(f.Version)
	}
	return v.Fold.Restore(key, value)
}

// levelled is a fold that takes the installation's level.
type levelled struct{ lane.Fold }

func (l levelled) Control(key string, value []byte) error {
	if key == schemas.ControlLevel {
		_, err := schemas.ParseLevel(value)
		return err
	}
	return l.Fold.Control(key, value)
}

// A lane that cannot be restored for another reason is tried again, and as long as it
// does not work the process is not ready, and says which lane it is and why.
func TestLaneThatDoesNotWorkIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		putState(c, 1, "account:bad", 200)
		var broken atomic.Bool
		broken.Store(true)
		r, reg, _ := runChoosy(t, c, "one", func(key string) error {
			if broken.Load() && key == "account:bad" {
				return errors.New("the moon is full")
			}
			return nil
		})
		if h := r.Health(); h.Ready() {
			t.Error("it is ready before it has joined")
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		h := r.Health()
		if h.Ready() || h.Assigned != laneCount || len(h.Idle) != 1 || h.Idle[0].Lane != 1 || !strings.Contains(h.Idle[0].String(), "the moon is full") {
			t.Errorf("health: %+v", h)
		}
		for name, want := range map[string]float64{"holdfast_lane_lanes": laneCount - 1, "holdfast_lane_assigned_lanes": laneCount} {
			if got := gauge(t, reg, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		broken.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if h := r.Health(); !h.Ready() {
			t.Errorf("health after all: %+v", h)
		}
	})
}

func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s, of %d", name, testutil.CollectAndCount(reg))
	return 0
}
