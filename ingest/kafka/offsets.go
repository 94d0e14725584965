package kafka

import (
	"context"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
)

// Range is what a partition holds: offsets from Start up to, not including, End.
type Range struct{ Start, End int64 }

// The times by which a broker is asked for a log's ends.
const (
	askStart = -2
	askEnd   = -1
)

// Offsets tells where the logs of some partitions begin and end.
func (c *Client) Offsets(ctx context.Context, tps []TopicPartition) (map[TopicPartition]Range, error) {
	out := make(map[TopicPartition]Range, len(tps))
	err := c.retry(ctx, func(ctx context.Context) error {
		starts, err := c.ends(ctx, tps, askStart)
		if err != nil {
			return err
		}
		stops, err := c.ends(ctx, tps, askEnd)
		for _, tp := range tps {
			out[tp] = Range{Start: starts[tp], End: stops[tp]}
		}
		return err
	})
	return out, err
}

// ends asks each leader once for one end of all its partitions.
func (c *Client) ends(ctx context.Context, tps []TopicPartition, which int64) (map[TopicPartition]int64, error) {
	positions := make([]Position, len(tps))
	for i, tp := range tps {
		positions[i].TopicPartition = tp
	}
	groups, err := c.byLeader(ctx, positions, make([]Fetched, len(tps)))
	if err != nil {
		return nil, err
	}
	out := make(map[TopicPartition]int64, len(tps))
	for _, s := range groups {
		req := &listoffsets.Request{ReplicaID: -1}
		for _, i := range s.at {
			req.Topics = append(req.Topics, listoffsets.RequestTopic{
				Topic: tps[i].Topic,
				Partitions: []listoffsets.RequestPartition{{
					Partition: tps[i].Partition, CurrentLeaderEpoch: -1, Timestamp: which,
				}},
			})
		}
		m, err := c.transport.RoundTrip(ctx, c.addr, &routed{req: req, broker: s.broker, clientID: c.cfg.ClientID})
		if err != nil {
			return nil, fmt.Errorf("kafka: asking broker %d of %s for the ends of logs: %w", s.broker, c, err)
		}
		for _, t := range m.(*listoffsets.Response).Topics {
			for _, p := range t.Partitions {
				tp := TopicPartition{t.Topic, p.Partition}
				if err := answer(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("kafka: asking for the ends of %s: %w", tp, err)
				}
				out[tp] = p.Offset
			}
		}
	}
	for _, tp := range tps {
		if _, ok := out[tp]; !ok {
			return nil, fmt.Errorf("kafka: asking for the ends of %s: %w", tp, kafkago.LeaderNotAvailable)
		}
	}
	return out, nil
}

// Commit stores offsets with their metadata for a member's generation. The
// broker refuses it (ErrStaleGeneration) once the group has formed a newer
// generation or dropped the member; while a rebalance is only being prepared
// the present generation still commits. An Assignment with no member and
// generation -1 commits for a group that has no members.
func (c *Client) Commit(ctx context.Context, a Assignment, offsets map[TopicPartition]Committed) error {
	if len(offsets) == 0 {
		return nil
	}
	req := &kafkago.OffsetCommitRequest{
		GroupID: a.Group, GenerationID: int(a.Generation), MemberID: a.Member,
		Topics: map[string][]kafkago.OffsetCommit{},
	}
	for tp, o := range offsets {
		req.Topics[tp.Topic] = append(req.Topics[tp.Topic], kafkago.OffsetCommit{
			Partition: int(tp.Partition), Offset: o.Offset, Metadata: o.Metadata,
		})
	}
	err := c.retry(ctx, func(ctx context.Context) error { return c.commitOnce(ctx, req) })
	if errors.Is(err, kafkago.RebalanceInProgress) {
		// Still between two generations after all the retries: as good as refused.
		err = fmt.Errorf("%w: %w", ErrStaleGeneration, err)
	}
	return err
}

func (c *Client) commitOnce(ctx context.Context, req *kafkago.OffsetCommitRequest) error {
	res, err := c.api.OffsetCommit(ctx, req)
	if err != nil {
		return fmt.Errorf("kafka: committing offsets of group %s: %w", req.GroupID, err)
	}
	for topic, partitions := range res.Topics {
		for _, p := range partitions {
			if p.Error != nil {
				return fmt.Errorf("kafka: group %s, generation %d: committing the offset of %s: %w",
					req.GroupID, req.GenerationID, TopicPartition{topic, int32(p.Partition)}, known(p.Error))
			}
		}
	}
	return nil
}

// Committed reads what a group committed. Every partition asked for is in the
// answer, with offset -1 where the group has none.
func (c *Client) Committed(ctx context.Context, group string, tps []TopicPartition) (map[TopicPartition]Committed, error) {
	req := &kafkago.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{}}
	out := make(map[TopicPartition]Committed, len(tps))
	for _, tp := range tps {
		req.Topics[tp.Topic] = append(req.Topics[tp.Topic], int(tp.Partition))
		out[tp] = Committed{Offset: -1}
	}
	if len(tps) == 0 {
		return out, nil
	}
	err := c.retry(ctx, func(ctx context.Context) error {
		res, err := c.api.OffsetFetch(ctx, req)
		if err == nil {
			err = res.Error
		}
		if err != nil {
			return fmt.Errorf("kafka: reading the offsets of group %s: %w", group, err)
		}
		for topic, partitions := range res.Topics {
			for _, p := range partitions {
				tp := TopicPartition{topic, int32(p.Partition)}
				if p.Error != nil {
					return fmt.Errorf("kafka: reading group %s's offset of %s: %w", group, tp, p.Error)
				}
				out[tp] = Committed{Offset: p.CommittedOffset, Metadata: p.Metadata}
			}
		}
		return nil
	})
	return out, err
}
