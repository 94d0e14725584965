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
//
// What no longer grows with every record of a window (shares, rates, bounces of what
// was sent) is looked at once the window can no longer change: a bucket or an hour
// ten minutes after its end, by whichever record comes next.
//
// What is kept. An account is 720 bytes in a table without pointers: three hours, two
// days and a ring of five-minute buckets that are open, the rhythm of its day and
// week, and level, spread, 95th percentile and largest of its past. Beside them, in
// blocks: known recipients (3 bytes each, 64 KiB at most in two halves), recipients of
// the last three hours (12 KB an hour at most), sources (12 bytes each, 256
// addresses, then networks), logins of three days (20 bytes each, 128 at most), and
// records to be paired with what other lanes tell (96 at most). While unknown sources
// send, or credentials were made recently, a watch of 400 bytes and its lists stands
// beside it; for ten minutes after an hour's beginning the past by which the hour
// before is judged does. Few accounts keep more aside: bounces and complaints of two days,
// so that what is told again counts once (12 KB a day at most), the state of before a
// clock that may be ahead (32 KB at most), and that nothing but failed logins was heard of
// them, which a lane remembers of 2,048. An address is 130 bytes and lists of 256 logins and 512
// alarmed accounts at most; five days after its last record it is forgotten, and a
// lane holds half a million. An employee is a plain struct of at most 256 KB. After
// 30 quiet days an account keeps its beginning, its profile and four sources; that
// happens at its next record and frees no memory before it.
//
// Sets are exact up to their caps. At a cap what is kept depends on the order of
// records within the lateness, as sketches do at their margin.
package detectors
