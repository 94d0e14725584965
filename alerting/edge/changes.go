package edge

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// changesKept is how many changes a stream that comes back can have missed: 65,536 keys,
// some 4 MB.
const changesKept = 1 << 16

// changes numbers the changes since the start and hands them to streams. A stream reads the
// ring at its own pace; one that falls out of it begins again.
type changes struct {
	epoch string // of this process, so that numbers of another are not taken for ours
	mu    sync.Mutex
	next  uint64 // the number of the next change
	ring  []string
	wake  chan struct{} // closed at the next change
}

func newChanges() *changes {
	return &changes{epoch: strconv.FormatInt(time.Now().UnixNano(), 36), ring: make([]string, 0, 64), wake: make(chan struct{})}
}

func (c *changes) add(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ring) < changesKept {
		c.ring = append(c.ring, key)
	} else {
		c.ring[c.next%changesKept] = key
	}
	c.next++
	close(c.wake)
	c.wake = make(chan struct{})
}

// since returns up to max keys that changed from number n on, the number after them, and
// what is closed when there are more. ok is false where n is no longer kept.
func (c *changes) since(n uint64, most int) (keys []string, next uint64, wake <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > c.next || c.next-n > uint64(len(c.ring)) {
		return nil, c.next, c.wake, false
	}
	for ; n < c.next && len(keys) < most; n++ {
		keys = append(keys, c.ring[n%changesKept])
	}
	return keys, n, c.wake, true
}

// now is the number of the next change.
func (c *changes) now() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

// id is what a stream shows of its place, and place reads it; false where it is of another
// process.
func (c *changes) id(n uint64) string { return c.epoch + "-" + strconv.FormatUint(n, 10) }

func (c *changes) place(id string) (uint64, bool) {
	number, ok := strings.CutPrefix(id, c.epoch+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(number, 10, 64)
	return n, err == nil
}
