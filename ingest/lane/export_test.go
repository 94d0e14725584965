package lane

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Reach makes duplicates known over fewer offsets, and blocks shorter.
func (c *Config) Reach(reach, block int64) { c.reach, c.block = reach, block }

// Without takes rules of the design away.
func (c *Config) Without(rules ...string) {
	for _, r := range rules {
		switch r {
		case "fence":
			c.faults.noFence = true
		case "check":
			c.faults.noCheck = true
		case "restart":
			c.faults.noRestart = true
		case "block":
			c.faults.noBlock = true
		case "ack before save":
			c.faults.noAckBeforeSave = true
		case "ack before commit":
			c.faults.noAckBeforeCommit = true
		case "guard":
			c.faults.noGuard = true
		case "once":
			c.Role.Once = nil
		case "parts together":
			c.faults.splitParts = true
		default:
			panic("no rule " + r)
		}
	}
}

// Folded counts the records that the runner's lanes have folded in of their first input.
func (r *Runner) Folded() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.working {
		if l != nil {
			n += int64(testutil.ToFloat64(l.meter.records[0]))
		}
	}
	return n
}

// String tells where the runner's lanes stand, for a test that waits in vain.
func (r *Runner) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, l := range r.working {
		if l == nil {
			continue
		}
		n := len(r.cfg.Role.Inputs)
		fmt.Fprintf(&b, "  lane %d epoch %d under %+v: folded up to %v, fetched %v, committed %v (on the way %t, refused %t)\n", l.n, l.producer.Epoch,
			*l.own.Load(), l.pos[:n], l.fetchAt[:n], l.commit.done[:n], l.commit.flying, l.commit.refused == l.own.Load())
		fmt.Fprintf(&b, "    %d of %d outputs acknowledged; %d changes unsaved; a save is held %t, on the way %t\n",
			l.out.acked, l.out.serial, l.dirty.order.len(), l.save.held, l.save.flying)
	}
	return b.String()
}
