package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// RejectedHead is how much of a rejected record is kept.
const RejectedHead = 64 << 10

// Place is where a refused record stood: a partition's offset, or a line of a
// file (partition 0, the line's number as offset).
type Place struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Remains is what is kept of a refused record, which may be of any size.
type Remains struct {
	Head   []byte // its first RejectedHead bytes at most
	Size   int
	SHA256 [sha256.Size]byte
}

// Keep returns the remains of a record that is at hand whole.
func Keep(data []byte) Remains {
	return Remains{Head: data[:min(len(data), RejectedHead)], Size: len(data), SHA256: sha256.Sum256(data)}
}

// Reject returns the record that keeps a refused one on the rejected topic. Its
// id follows from the place and the content, so that doing it twice is known.
func Reject(what Remains, src *Source, at Place, why *schemas.Error, arrival time.Time) (kafka.Record, error) {
	digest := hex.EncodeToString(what.SHA256[:])
	r := schemas.Rejected{
		ID:   schemas.DeriveID("rej", at.Topic, strconv.Itoa(int(at.Partition)), strconv.FormatInt(at.Offset, 10), digest),
		Time: arrival.UTC().Truncate(time.Millisecond), Topic: at.Topic, Partition: at.Partition, Offset: at.Offset,
		Source: src.Name, Reason: why.Reason, Detail: why.Error(),
		Head: what.Head, Size: what.Size, SHA256: digest,
	}
	value, err := json.Marshal(&r)
	if err != nil {
		return kafka.Record{}, fmt.Errorf("intake: writing down the rejected record at %s/%d/%d: %w", at.Topic, at.Partition, at.Offset, err)
	}
	return finding(schemas.KindRejected, r.ID, src, value, arrival), nil
}

// Missed returns the record that says which offsets of one of the platform's
// partitions could not be read.
func Missed(src *Source, at Place, to int64, reason string, arrival time.Time) (kafka.Record, error) {
	g := schemas.Gap{
		ID:   schemas.DeriveID("gap", at.Topic, strconv.Itoa(int(at.Partition)), strconv.FormatInt(at.Offset, 10), strconv.FormatInt(to, 10)),
		Time: arrival.UTC().Truncate(time.Millisecond), Topic: schemas.Topic(at.Topic), Partition: at.Partition,
		From: at.Offset, To: to, Reason: reason,
	}
	value, err := json.Marshal(&g)
	if err != nil {
		return kafka.Record{}, fmt.Errorf("intake: writing down the gap in %s/%d: %w", at.Topic, at.Partition, err)
	}
	return finding(schemas.KindGap, g.ID, src, value, arrival), nil
}

// finding wraps a record that no entity owns; its id is its key.
func finding(kind schemas.Kind, id string, src *Source, value []byte, arrival time.Time) kafka.Record {
	return kafka.Record{
		Time: arrival.UnixMilli(), Key: []byte(id), Value: value,
		Headers: []kafka.Header{
			{Key: schemas.HeaderKind, Value: []byte(kind)},
			{Key: schemas.HeaderID, Value: []byte(id)},
			{Key: schemas.HeaderSource, Value: []byte(src.Name)},
		},
	}
}
