package gate

import (
	"fmt"
	"slices"
	"time"
)

// The brake's limits.
const (
	shortWindow = int64(10 * time.Minute / time.Millisecond)
	shortLimit  = 20
	longWindow  = int64(time.Hour / time.Millisecond)
	longLeast   = 20
	longShare   = 1000 // one in so many active accounts
	// maxTimes bounds the remembered stops. Untripped, no 10 minutes hold more than
	// 20, so an hour of stops in order holds fewer than 141.
	maxTimes = 512
)

// brake counts stops in event time. Stops of different lanes come in no order;
// any window that holds the new one is looked at.
type brake struct {
	Times   []int64 `json:"times,omitempty"` // of counted stops, rising, Unix milliseconds
	Tripped bool    `json:"tripped,omitzero"`
	Why     string  `json:"why,omitempty"`
}

// count adds a stop at t and trips the brake where a limit is passed. active tells
// how many accounts were active; it is asked only when the answer matters. It
// reports whether this stop tripped it.
func (b *brake) count(t int64, active func() (uint64, error)) (bool, error) {
	at, _ := slices.BinarySearch(b.Times, t)
	b.Times = slices.Insert(b.Times, at, t)
	if len(b.Times) > maxTimes {
		b.Times = slices.Delete(b.Times, 0, 1)
	}
	if b.Tripped {
		return false, nil
	}
	if n := most(b.Times, t, shortWindow); n > shortLimit {
		b.trip(fmt.Sprintf("%d automatic stops within 10 minutes, %d are allowed", n, shortLimit))
		return true, nil
	}
	n := most(b.Times, t, longWindow)
	if n <= longLeast {
		return false, nil
	}
	accounts, err := active()
	if err != nil {
		return false, err
	}
	if limit := max(longLeast, int(accounts/longShare)); n > limit {
		b.trip(fmt.Sprintf("%d automatic stops within an hour, %d are allowed", n, limit))
		return true, nil
	}
	return false, nil
}

func (b *brake) trip(why string) { b.Tripped, b.Why = true, why }

// release opens the brake again and begins to count from nothing: the person has
// looked at what was counted.
func (b *brake) release() { *b = brake{} }

// most is the largest number of times within any window that holds t. Windows
// are half open: (end − window, end].
func most(times []int64, t, window int64) int {
	best, from := 0, 0
	for to, end := range times {
		for times[from] <= end-window {
			from++
		}
		if end >= t && times[from] <= t {
			best = max(best, to-from+1)
		}
	}
	return best
}
