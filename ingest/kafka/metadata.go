package kafka

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// refreshEvery is the least time between two renewals of the layout; it also
// slows down whoever meets the same moved leader in a loop.
const refreshEvery = 100 * time.Millisecond

// topics returns the layout of some topics from the transport's cache, or of
// all when none is named.
func (c *Client) topics(ctx context.Context, names []string) ([]metadata.ResponseTopic, error) {
	res, err := c.transport.RoundTrip(ctx, c.addr, &metadata.Request{TopicNames: names})
	if err != nil {
		return nil, fmt.Errorf("kafka: asking %s for its topics: %w", c, err)
	}
	return res.(*metadata.Response).Topics, nil
}

// leader finds who leads a partition, -1 when nobody is known to.
func leader(topics []metadata.ResponseTopic, tp TopicPartition) int32 {
	for i := range topics {
		t := &topics[i]
		if t.Name != tp.Topic {
			continue
		}
		for j := range t.Partitions {
			// The cache is sorted, so the partition nearly always stands at its number.
			p := &t.Partitions[(j+int(tp.Partition))%len(t.Partitions)]
			if p.PartitionIndex == tp.Partition && p.LeaderID >= 0 {
				return p.LeaderID
			}
		}
	}
	return -1
}

// Partitions tells how many partitions a topic has; ErrUnknownTopic if the
// topic does not exist.
func (c *Client) Partitions(ctx context.Context, topic string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	for try := 0; ; try++ {
		topics, err := c.topics(ctx, []string{topic})
		if err == nil && topics[0].ErrorCode == 0 {
			return len(topics[0].Partitions), nil
		}
		if err == nil {
			err = fmt.Errorf("kafka: topic %s: %w", topic, answer(topics[0].ErrorCode))
		}
		// What the cache lacks may have been made since: look once more.
		if try == 2 || ctx.Err() != nil || !Retriable(err) {
			return 0, err
		}
		c.refresh(ctx)
	}
}

// refresh has the transport learn the cluster's layout anew and waits for it.
// Callers who wait while another one's renewal runs share its result.
func (c *Client) refresh(ctx context.Context) {
	asked := time.Now()
	c.layout.Lock()
	defer c.layout.Unlock()
	if c.layout.renewed.After(asked) {
		return
	}
	if pause := time.Until(c.layout.renewed.Add(refreshEvery)); pause > 0 && !wait(ctx, pause) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	if _, err := c.transport.RoundTrip(ctx, c.addr, renewal{}); err != nil {
		c.cfg.Logger.Debug("cannot renew the cluster's layout", "brokers", c.String(), "error", err)
	}
	c.layout.renewed = time.Now()
}

// renewal is a request that sends nothing: the transport renews its layout
// after every answer to a creation of topics, and has no other way to be told.
type renewal struct{}

// ApiKey names the request, in the spelling that kafka-go asks for.
//
//nolint:revive
func (renewal) ApiKey() protocol.ApiKey { return protocol.Metadata }

func (renewal) Required(map[protocol.ApiKey]int16) bool { return true }

func (renewal) RawExchange(io.ReadWriter) (protocol.Message, error) {
	return &createtopics.Response{}, nil
}
