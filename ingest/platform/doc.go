// Package platform consumes the platform's own Kafka topics and turns their
// records into events by a mapping from the configuration.
//
// It promises at least once: a position is committed only after every record
// before it is acknowledged on the events topic, or on the rejected topic where it
// could not be used. What comes twice has the same id, taken from a field or else
// from topic, partition and offset. Records of aborted transactions are never
// read. A stretch that the broker deleted before it was read is written down as a
// gap. Mapped records are new JSON objects; every field that no rule names is
// carried over as it was.
package platform
