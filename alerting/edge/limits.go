package edge

import (
	"sync"
	"time"
)

// maxLimited bounds the accounts whose rate is counted, and those whose day is: 65,536 of some
// 100 bytes. Beyond it one is forgotten, which lets it send a little more.
const maxLimited = 1 << 16

// limits counts what throttled accounts send: a token bucket each, of a quarter of an
// hour's rate.
type limits struct {
	perHour, burst float64
	mu             sync.Mutex
	by             map[string]*bucket
	sweep          time.Time
}

type bucket struct {
	left float64
	at   time.Time
}

func newLimits(perHour int) *limits {
	return &limits{perHour: float64(perHour), burst: max(1, float64(perHour)/4), by: map[string]*bucket{}}
}

// allow takes one recipient of an account's rate and reports whether there was one.
func (l *limits) allow(account string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.by[account]
	if b == nil {
		l.prune(now)
		b = &bucket{l.burst, now}
		l.by[account] = b
	}
	b.left = min(l.burst, b.left+max(0, now.Sub(b.at).Hours())*l.perHour)
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// prune makes room: buckets that are full again say nothing, and where all places are taken
// any one goes.
func (l *limits) prune(now time.Time) {
	if now.Sub(l.sweep) >= time.Minute {
		l.sweep = now
		for account, b := range l.by {
			if b.left+now.Sub(b.at).Hours()*l.perHour >= l.burst {
				delete(l.by, account)
			}
		}
	}
	for account := range l.by {
		if len(l.by) < maxLimited {
			return
		}
		delete(l.by, account)
	}
}

// days counts what accounts in probation send, by UTC day. It forgets all at midnight, and
// what it forgets at a restart, or for room, lets an account send a little more that day.
type days struct {
	mu  sync.Mutex
	day int64
	by  map[string]int64
}

// allow takes one recipient of an account's day and reports whether there was one.
func (d *days) allow(account string, perDay int64, now time.Time) bool {
	day := now.Unix() / 86_400
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.by == nil || d.day != day {
		d.day, d.by = day, map[string]int64{}
	}
	n, had := d.by[account]
	if n >= perDay {
		return false
	}
	for other := range d.by {
		if had || len(d.by) < maxLimited {
			break
		}
		delete(d.by, other)
	}
	d.by[account] = n + 1
	return true
}
