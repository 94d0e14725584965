package lane

import (
	"math"
	"time"
)

// change is an entity's state that is not saved as it stands in memory.
type change struct {
	key   string
	first [maxInputs]int64 // the first unsaved offset of each input, or -1
	since time.Time
	saved bool
}

// dirty tracks what is unsaved. An entity that changes again while it is being
// saved has a second change.
type dirty struct {
	open  map[string]*change // changes that no save has taken yet
	order queue[*change]     // the same, oldest first
	// marks hold, for each input, the changes that it began or joined, by their
	// first offset; saved ones are taken off the front.
	marks [maxInputs]queue[*change]
}

func newDirty() dirty { return dirty{open: map[string]*change{}} }

// touch notes that a record of an input changed an entity. Its key must stay good.
func (d *dirty) touch(c *change, key string, input int, offset int64, now time.Time) {
	if c == nil {
		c = &change{key: key, first: [maxInputs]int64{-1, -1, -1, -1}, since: now}
		d.open[key] = c
		d.order.push(c)
	}
	if c.first[input] < 0 {
		c.first[input] = offset
		d.marks[input].push(c)
	}
}

// leave notes that a value is to be deleted, which no record asked for: it holds no
// offset back.
func (d *dirty) leave(key string, now time.Time) {
	if d.open[key] == nil {
		c := &change{key: key, first: [maxInputs]int64{-1, -1, -1, -1}, since: now}
		d.open[key] = c
		d.order.push(c)
	}
}

// take removes the oldest change from those to be saved, to be saved now.
func (d *dirty) take() *change {
	c := d.order.pop()
	delete(d.open, c.key)
	return c
}

// back returns a change whose save failed, as the newest.
func (d *dirty) back(c *change) {
	if now := d.open[c.key]; now != nil {
		// It changed again since. The older change goes with the newer one, but its
		// offsets hold the floor until that is saved.
		for i, o := range c.first {
			if o >= 0 && (now.first[i] < 0 || o < now.first[i]) {
				now.first[i] = o
			}
		}
		d.replace(c, now)
		return
	}
	d.open[c.key] = c
	d.order.push(c)
}

// replace lets one change stand for another in the marks.
func (d *dirty) replace(old, by *change) {
	for i := range d.marks {
		q := &d.marks[i]
		for j := q.head; j < len(q.items); j++ {
			if q.items[j] == old {
				q.items[j] = by
			}
		}
	}
}

// floor is the first offset of an input whose change is not saved.
func (d *dirty) floor(input int) int64 {
	q := &d.marks[input]
	for q.len() > 0 && q.first().saved {
		q.pop()
	}
	if q.len() == 0 {
		return math.MaxInt64
	}
	return q.first().first[input]
}

// oldest tells how long the oldest change has waited for a save.
func (d *dirty) oldest(now time.Time) time.Duration {
	if d.order.len() == 0 {
		return 0
	}
	return now.Sub(d.order.first().since)
}
