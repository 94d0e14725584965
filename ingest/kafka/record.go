// Package kafka speaks to the broker for every part of Holdfast that reads or
// writes a log: fetching whole batches, writing under a producer epoch, joining
// a role's group, committing offsets with metadata and creating topics.
//
// It promises that a record is delivered in the order of its offset and never
// twice by one Fetch position, that control and aborted records are left out,
// and that a write under an old epoch or a commit under an old generation is an
// error (ErrFenced, ErrStaleGeneration), never a silent success.
package kafka

import "errors"

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record of a partition. Key, Value and header values may alias
// the buffer of the response they came in; clone what outlives the batch.
type Record struct {
	Offset  int64
	Time    int64 // Unix milliseconds: the broker's (arrival) or the writer's
	Key     []byte
	Value   []byte
	Headers []Header
}

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Position is where reading of one partition goes on.
type Position struct {
	TopicPartition
	Offset int64
}

// Fetched is what one Fetch brought from one partition. Next is the offset to
// fetch from afterwards: it passes over control records, aborted records and
// what compaction removed, so it may grow while Records is empty.
type Fetched struct {
	TopicPartition
	Records       []Record
	Next          int64
	HighWatermark int64
	LogStart      int64
	Err           error // this partition's own error; the others are unharmed
}

// Producer is a producer identity: an id and its epoch.
type Producer struct {
	ID    int64
	Epoch int16
}

// Committed is a committed offset with its metadata; Offset is -1 where the
// group has none.
type Committed struct {
	Offset   int64
	Metadata string
}

// Assignment is a member's share of one generation of a role's group: the same
// partition numbers of all the role's topics.
type Assignment struct {
	Group      string
	Member     string
	Generation int32
	Lanes      []int32
}

var (
	// ErrFenced says that a newer epoch of the same producer has written.
	ErrFenced = errors.New("kafka: fenced by a newer producer epoch")
	// ErrStaleGeneration says that the group has moved on without this member.
	ErrStaleGeneration = errors.New("kafka: the group generation is no longer current")
	// ErrOffsetOutOfRange says that a position lies before the log's start or
	// beyond its end.
	ErrOffsetOutOfRange = errors.New("kafka: offset out of range")
)
