package lane_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/ingest/lane"
	"holdfast/schemas"
)

// A lane that is killed after it has published and before it has committed folds the
// same again. What stands at the end of its partition it does not publish again.
func TestPublishedBeforeAKillIsNotPublishedAgain(t *testing.T) {
	for name, once := range map[string][]lane.Once{"the role's": lane.Detect().Once, "none": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stage{T: t, c: newCluster()}
				run := func(name string, cut bool) {
					role := lane.Detect()
					role.Once = once
					cfg := lane.Config{Role: role, Lanes: laneCount, Prefix: prefix}
					cfg.Reach(reach, block)
					client := s.c.Client(name)
					r, err := lane.New(cfg, lane.Deps{Broker: client, NewFold: func(int32) lane.Fold { return newCountFold() }})
					if err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithCancel(context.Background())
					ended := make(chan error, 1)
					go func() { ended <- r.Run(ctx) }()
					if time.Sleep(20 * time.Second); cut {
						for i := range 40 {
							s.event(0, ownKey(0), fmt.Sprint(name, i), "5")
						}
						time.Sleep(20 * time.Millisecond)
						client.Kill(func() bool { return true })
						s.c.Expel(prefix+"detect", name)
					}
					time.Sleep(30 * time.Second)
					cancel()
					if err := <-ended; err != nil && !cut {
						t.Error(err)
					}
				}
				run("first", true)
				published := s.count(0)
				if published == 0 {
					t.Fatal("nothing was published before the kill")
				}
				run("second", false)
				switch again := s.count(0) - published; {
				case once == nil && again == 0:
					t.Error("nothing is published again without looking: this test shows nothing")
				case once != nil && again > 0:
					t.Errorf("%d of %d signals are published again", again, published)
				}
			})
		})
	}
}

// count counts a partition's signals, each record.
func (s *stage) count(p int32) (n int) {
	for _, r := range s.c.Records(at(schemas.TopicInbox, p)) {
		if kindOf(&r) == schemas.KindSignal {
			n++
		}
	}
	return n
}
