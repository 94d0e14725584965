package lane_test

import (
	"testing"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Each source has ids of its own: what one sends hides nothing of another's, also after a
// restart, for which the ids before are read again.
func TestIdsAreTheirSources(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		from := func(source, id string) {
			s.c.Append(at(schemas.TopicEvents, 0), kafka.Record{Key: []byte(ownKey(0)), Value: []byte("x"), Headers: []kafka.Header{
				{Key: schemas.HeaderKind, Value: []byte(schemas.KindEvent)}, {Key: schemas.HeaderID, Value: []byte(id)}, {Key: schemas.HeaderSource, Value: []byte(source)},
			}})
		}
		from("http:test", "e1")
		from("http:mail", "e1")
		from("http:mail", "e1")
		s.settle()
		s.wantSignals(ownKey(0)+"#1", ownKey(0)+"#2")
		s.restart()
		from("http:mail", "e1")
		from("http:test", "e1")
		from("http:other", "e1")
		s.settle()
		s.wantSignals(ownKey(0)+"#1", ownKey(0)+"#2", ownKey(0)+"#3")
	})
}
