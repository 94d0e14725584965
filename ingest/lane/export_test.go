package lane

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
