package lane

import "github.com/prometheus/client_golang/prometheus/testutil"

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
