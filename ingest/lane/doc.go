// Package lane runs a role's lanes: for each partition that this process owns it
// restores the entities' state, feeds the partition's log to a Fold, sends what the
// fold emits and saves what it changed.
//
// It promises that the same logs give the same outputs and the same state wherever
// a process is cut or paused. Outputs are acknowledged before the state that
// remembers them is saved; the committed offset passes no unsaved change and no
// record whose outputs are unacknowledged; everything is written under the lane's
// producer epoch, which a new owner takes and fences before it reads, so that a
// paused owner that wakes damages nothing. An output may be written twice: its id
// says so, and readers drop the second.
//
// What a fold refuses, or panics on, goes to the rejected topic and the lane goes
// on. A record in a partition that its key does not map to is forwarded. Nothing is
// dropped in silence: duplicates, forwarded, rejected and withheld records are
// counted.
package lane
