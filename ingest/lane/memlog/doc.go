// Package memlog is a broker in memory for tests of lanes: partitions with
// compaction, producers with epochs and sequences, groups with generations and
// committed offsets, as Kafka has them.
//
// Left alone it answers at once. Under a Schedule every request waits, before it
// takes effect and again before its answer arrives, until the test lets it go: late,
// twice, without an answer, or never. What a test does with requests that wait, in
// an order drawn from a seed, is the whole of what can happen to the code under test.
package memlog
