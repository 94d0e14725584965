package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

var (
	// ErrSequence says that the broker expected another sequence number of this
	// producer: a batch is missing, or what it knew of the producer is gone. A
	// new epoch starts again at zero.
	ErrSequence = errors.New("kafka: sequence number out of order")
	// ErrUnknownTopic says that a topic or partition does not exist.
	ErrUnknownTopic = errors.New("kafka: no such topic or partition")
	// ErrCorrupt says that a batch fails its checksum or breaks the format.
	ErrCorrupt = errors.New("kafka: corrupt batch")
	// ErrClosed says that the group was closed by its own member.
	ErrClosed = errors.New("kafka: the group is closed")
)

// passing are the broker's errors that go away by themselves.
var passing = []kafkago.Error{
	kafkago.InvalidMessage, kafkago.UnknownTopicOrPartition, kafkago.LeaderNotAvailable,
	kafkago.NotLeaderForPartition, kafkago.RequestTimedOut, kafkago.BrokerNotAvailable,
	kafkago.ReplicaNotAvailable, kafkago.NetworkException, kafkago.GroupLoadInProgress,
	kafkago.GroupCoordinatorNotAvailable, kafkago.NotCoordinatorForGroup,
	kafkago.NotEnoughReplicas, kafkago.NotEnoughReplicasAfterAppend, kafkago.RebalanceInProgress,
	kafkago.NotController, kafkago.ConcurrentTransactions, kafkago.KafkaStorageError,
	kafkago.FencedLeaderEpoch, kafkago.UnknownLeaderEpoch, kafkago.OffsetNotAvailable,
	kafkago.PreferredLeaderNotAvailable, 89, // throttling quota exceeded
	100, 103, // unknown or inconsistent topic id
}

// moved are the errors that say that our picture of the cluster is old.
var moved = []kafkago.Error{
	kafkago.UnknownTopicOrPartition, kafkago.LeaderNotAvailable, kafkago.NotLeaderForPartition,
	kafkago.BrokerNotAvailable, kafkago.ReplicaNotAvailable, kafkago.KafkaStorageError,
	kafkago.FencedLeaderEpoch, kafkago.UnknownLeaderEpoch, 100, 103,
}

// Retriable tells whether the same call may succeed later without anybody
// doing anything: the network, a leader's move, a coordinator that loads.
func Retriable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if code, ok := errors.AsType[kafkago.Error](err); ok {
		return slices.Contains(passing, code)
	}
	return unreached(err)
}

// stale tells whether to ask for the cluster's layout again before a retry.
func stale(err error) bool {
	if code, ok := errors.AsType[kafkago.Error](err); ok {
		return slices.Contains(moved, code)
	}
	return unreached(err)
}

// unreached tells whether an error comes from the way to the broker.
func unreached(err error) bool {
	for _, e := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded,
		protocol.ErrNoTopic, protocol.ErrNoPartition, protocol.ErrNoLeader,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// answer turns a broker's error code into an error; 0 is none.
func answer(code int16) error {
	if code == 0 {
		return nil
	}
	return known(kafkago.Error(code))
}

// known puts this package's name beside the broker's own error, so that callers
// may ask errors.Is for either.
func known(err error) error {
	code, ok := errors.AsType[kafkago.Error](err)
	if !ok {
		return err
	}
	switch code {
	case kafkago.OffsetOutOfRange:
		return fmt.Errorf("%w: %w", ErrOffsetOutOfRange, err)
	case kafkago.InvalidProducerEpoch, kafkago.ProducerFenced:
		return fmt.Errorf("%w: %w", ErrFenced, err)
	case kafkago.OutOfOrderSequenceNumber, kafkago.UnknownProducerId:
		return fmt.Errorf("%w: %w", ErrSequence, err)
	case kafkago.IllegalGeneration, kafkago.UnknownMemberId, kafkago.FencedInstanceID:
		return fmt.Errorf("%w: %w", ErrStaleGeneration, err)
	case kafkago.UnknownTopicOrPartition:
		return fmt.Errorf("%w: %w", ErrUnknownTopic, err)
	}
	return err
}

// retry calls f until it succeeds, fails for good, or the time is over. Between
// tries it waits, and has the cluster's layout renewed where that is in doubt.
func (c *Client) retry(ctx context.Context, f func(context.Context) error) error {
	end := time.Now().Add(c.cfg.RetryFor)
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := c.once(ctx, f)
		if err == nil || ctx.Err() != nil || !Retriable(err) || time.Now().Add(pause).After(end) {
			return err
		}
		c.stats.retries.Add(1)
		c.cfg.Logger.Debug("trying again", "error", err, "after", pause)
		if !wait(ctx, pause/2+rand.N(pause)) { // #nosec G404 -- jitter
			return err
		}
		if stale(err) {
			c.refresh(ctx)
		}
	}
}

// once bounds one try, so that a broker that went silent is given up.
func (c *Client) once(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout+c.cfg.DialTimeout)
	defer cancel()
	return f(ctx)
}

// wait pauses and tells whether the context is still good.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
