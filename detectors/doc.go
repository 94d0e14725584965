// Package detectors is a detect lane's fold: events and facts in, signals and
// facts out. It promises that the same log gives the same signals wherever a
// process was cut, and that other partition counts, doubled records and an order
// shuffled within the lateness give the same set of signal ids. It never reads a
// clock, does I/O or starts a goroutine; an Engine belongs to one goroutine.
//
// Each entity has its own clock, the highest event time of its records. An event
// more than the lateness behind that clock is not scored, and counted. For the
// promises to hold, statistics within a window only grow, a threshold looks only at
// hours and days that ended at least the lateness before its window began, and
// what two entities know about each other is compared by their events' days, so
// that it does not matter which record came first.
package detectors
