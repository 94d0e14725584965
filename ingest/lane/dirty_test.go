package lane

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestFloorHoldsForUnsavedChanges compares the floor with the changes themselves,
// while entities change, are saved, and fail to be saved.
func TestFloorHoldsForUnsavedChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDirty()
		next := [2]int64{}
		unsaved := map[int64]string{} // offset, twice the offset plus the input: key
		flying := map[*change][]int64{}
		for range rapid.IntRange(0, 150).Draw(t, "steps") {
			switch what := rapid.IntRange(0, 5).Draw(t, "what"); {
			case what < 3:
				key := fmt.Sprint("k", rapid.IntRange(0, 6).Draw(t, "key"))
				in := rapid.IntRange(0, 1).Draw(t, "input")
				next[in] += rapid.Int64Range(1, 3).Draw(t, "step")
				d.touch(d.open[key], key, in, next[in], time.Time{})
				unsaved[2*next[in]+int64(in)] = key
			case what == 3 && d.order.len() > 0:
				c := d.take()
				for o, key := range unsaved {
					if key == c.key && !taken(flying, o) {
						flying[c] = append(flying[c], o)
					}
				}
			case what == 4:
				for c, offsets := range flying {
					c.saved = true
					for _, o := range offsets {
						delete(unsaved, o)
					}
					delete(flying, c)
					break
				}
			default:
				for c := range flying {
					d.back(c)
					delete(flying, c)
					break
				}
			}
			for in := range 2 {
				want := int64(math.MaxInt64)
				for o := range unsaved {
					if o%2 == int64(in) {
						want = min(want, o/2)
					}
				}
				if got := d.floor(in); got != want {
					t.Fatalf("the floor of input %d is %d, must be %d", in, got, want)
				}
			}
		}
	})
}

func taken(flying map[*change][]int64, offset int64) bool {
	for _, offsets := range flying {
		for _, o := range offsets {
			if o == offset {
				return true
			}
		}
	}
	return false
}

// TestTrickle looks at how much is saved at a time.
func TestTrickle(t *testing.T) {
	cfg := Config{Role: Detect(), Lanes: 1}
	if err := cfg.setDefaults(); err != nil {
		t.Fatal(err)
	}
	begun := time.Unix(1000, 0)
	for _, test := range []struct {
		changes int
		age     time.Duration
		want    int
	}{
		{0, 0, 0},
		{10, time.Second, 0},               // few and fresh: wait for company
		{10, 6 * time.Second, 10},          // few and older: all
		{30_000, time.Second, 201},         // a 150th of 30 s: one sweep lasts 30 s
		{30_000, 50 * time.Second, 30_000}, // near the limit: all, at once
	} {
		l := &lane{r: &Runner{cfg: cfg}, dirty: newDirty(), now: begun.Add(test.age)}
		for n := range test.changes {
			key := fmt.Sprint(n)
			l.dirty.touch(nil, key, 0, int64(n), begun)
		}
		if got := l.allot(); got != test.want {
			t.Errorf("%d changes, the oldest %s old: %d are saved, must be %d", test.changes, test.age, got, test.want)
		}
	}
}

func TestQueueGivesItsMemoryBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue[int]
		var want []int
		for n := range rapid.IntRange(0, 500).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "push") {
				q.push(n)
				want = append(want, n)
			} else if len(want) > 0 {
				if got := q.pop(); got != want[0] {
					t.Fatalf("popped %d, must be %d", got, want[0])
				}
				want = want[1:]
			}
			if q.len() != len(want) || len(q.items) > 2*len(want)+64 {
				t.Fatalf("%d items in %d places, must be %d", q.len(), len(q.items), len(want))
			}
		}
	})
}
