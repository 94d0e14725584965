// Package edge answers "may this account send?" for mail servers and proxies, from a copy
// of the compacted status topic. It promises that every answer is the newest status that
// this process has read, and says how old that knowledge is; that it goes on answering with
// the last known status when Kafka, ClickHouse and every other process of Holdfast are gone,
// also after a restart, from its copy on disk; and that an entity that nothing was ever
// decided about is answered as unknown, never as allowed.
//
// It has no detectors, no database server and no consumer group, and writes to no topic.
// Any number of edges may run beside one another.
//
// What is bounded: a request's size and time, connections and streams (Config), the changes
// kept for streams that come back (changesKept), and the counters of slowed-down accounts
// (maxLimited). An entity takes some 130 bytes of memory, ten million some 1.3 GB; see BenchmarkMemory.
package edge
