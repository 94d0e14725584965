package record

import (
	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Encoder makes rows of records as the recorder does, for who must know what the store
// should hold. It is not safe for use by several goroutines at once.
type Encoder struct{ enc *encoder }

// NewEncoder returns an encoder.
func NewEncoder() *Encoder { return &Encoder{newEncoder()} }

// Append adds a record's row to a block of its journal's table. False: it has none,
// being a fence or nothing that can be decoded or held.
func (e *Encoder) Append(b *clickhouse.Block, topic schemas.Topic, partition int32, r *kafka.Record) bool {
	return e.enc.append(b, place{topic: topic, partition: partition}, r) == stored
}

// Arrival is when a record arrived, in Unix milliseconds, as the store can hold it.
func Arrival(r *kafka.Record) int64 { return arrival(r) }
