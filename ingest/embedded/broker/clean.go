package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// topicConfig is what cleaning needs to know of a topic.
type topicConfig struct {
	name       string
	partitions int32
	compacted  bool
	retention  time.Duration // negative: records are kept for good
}

// keepClean drops old records and compacts, each when it is due.
func (b *Broker) keepClean(ctx context.Context) {
	options := []kgo.Opt{kgo.SeedBrokers(b.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner())}
	if b.cfg.Password != "" {
		options = append(options, kgo.SASL(scram.Auth{User: b.cfg.User, Pass: b.cfg.Password}.AsSha256Mechanism()))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		b.cfg.Logger.Error("embedded broker: logs are not cleaned", "error", err)
		return
	}
	defer client.Close()
	check := time.NewTicker(min(30*time.Second, b.cfg.RetentionEvery))
	defer check.Stop()
	dropped, compactAt := time.Now(), b.cfg.CompactAt
	for {
		select {
		case <-ctx.Done():
			return
		case <-check.C:
		}
		retention := time.Since(dropped) >= b.cfg.RetentionEvery
		next, err := b.clean(ctx, client, retention, compactAt)
		if err != nil && ctx.Err() == nil {
			b.cfg.Logger.Error("embedded broker: logs could not be compacted; they grow until this is fixed", "dir", b.cfg.Dir, "error", err)
		}
		compactAt = next
		if retention {
			dropped = time.Now()
		}
	}
}

// clean does one round and returns the size at which to compact next.
func (b *Broker) clean(ctx context.Context, client *kgo.Client, retention bool, compactAt int64) (int64, error) {
	topics, err := describeTopics(ctx, client)
	if err != nil {
		return compactAt, fmt.Errorf("broker: describe topics: %w", err)
	}
	partitions := compactedPartitions(topics)
	size := logsSize(b.logDir(), partitions)
	compact := size >= compactAt
	if !retention && !compact {
		return compactAt, nil
	}
	// Both of kfake's cleaning calls apply retention to every topic.
	if err := b.fenceAged(ctx, client, topics); err != nil {
		return compactAt, err
	}
	if !compact {
		b.cluster.ApplyRetention()
		return compactAt, nil
	}
	if free, err := freeBytes(b.cfg.Dir); err == nil && free < size {
		return compactAt, fmt.Errorf("broker: compaction needs %d bytes of free space in %s and has %d; free some", size, b.cfg.Dir, free)
	}
	started := time.Now()
	switch err := b.compact(partitions); {
	case errors.Is(err, errRolled):
		return compactAt, nil
	case err != nil:
		return compactAt, err
	}
	after := logsSize(b.logDir(), partitions)
	b.cfg.Logger.Info("embedded broker: compacted", "bytes_before", size, "bytes_after", after, "took", time.Since(started))
	return max(b.cfg.CompactAt, 2*after), nil
}

func compactedPartitions(topics []topicConfig) []string {
	var folders []string
	for _, t := range topics {
		for p := int32(0); t.compacted && p < t.partitions; p++ {
			folders = append(folders, partitionFolder(t.name, p))
		}
	}
	return folders
}

func describeTopics(ctx context.Context, client *kgo.Client) ([]topicConfig, error) {
	meta := kmsg.NewPtrMetadataRequest() // nil topics: all of them
	metaResp, err := meta.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	byName := make(map[string]*topicConfig, len(metaResp.Topics))
	topics := make([]topicConfig, 0, len(metaResp.Topics))
	for _, t := range metaResp.Topics {
		if t.Topic == nil || t.ErrorCode != 0 {
			continue
		}
		topics = append(topics, topicConfig{name: *t.Topic, partitions: int32(len(t.Partitions)), retention: -1})
		byName[*t.Topic] = &topics[len(topics)-1]
		req.Resources = append(req.Resources, kmsg.DescribeConfigsRequestResource{
			ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: *t.Topic,
			ConfigNames: []string{"cleanup.policy", "retention.ms"},
		})
	}
	if len(topics) == 0 {
		return nil, nil
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	for _, r := range resp.Resources {
		t := byName[r.ResourceName]
		for _, c := range r.Configs {
			if t == nil || c.Value == nil {
				continue
			}
			switch c.Name {
			case "cleanup.policy":
				t.compacted = strings.Contains(*c.Value, "compact")
			case "retention.ms":
				if ms, err := strconv.ParseInt(*c.Value, 10, 64); err == nil && ms >= 0 {
					t.retention = time.Duration(min(ms, 1<<40)) * time.Millisecond
				}
			}
		}
	}
	return topics, nil
}

// fenceAged writes a record of kind fence to each partition whose newest record
// is about to age out, so that its offsets never start again at 0.
func (b *Broker) fenceAged(ctx context.Context, client *kgo.Client, topics []topicConfig) error {
	newest, err := listOffsets(ctx, client, topics, -3)
	if err != nil {
		return fmt.Errorf("broker: newest records: %w", err)
	}
	now := time.Now()
	for _, t := range topics {
		if t.retention < 0 {
			continue
		}
		for p := int32(0); p < t.partitions; p++ {
			last := newest[partitionFolder(t.name, p)]
			// Retention is applied a moment after this look.
			soon := min(time.Minute, t.retention/2)
			if last.offset < 0 || now.Sub(time.UnixMilli(last.timestamp)) < t.retention-soon {
				continue
			}
			record := &kgo.Record{Topic: t.name, Partition: p, Headers: []kgo.RecordHeader{{Key: "kind", Value: []byte("fence")}}}
			if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
				return fmt.Errorf("broker: keep the offsets of %s/%d: %w", t.name, p, err)
			}
		}
	}
	return nil
}

type listedOffset struct{ offset, timestamp int64 }

// listOffsets asks for one offset of every partition: -3 is the newest record's.
func listOffsets(ctx context.Context, client *kgo.Client, topics []topicConfig, which int64) (map[string]listedOffset, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	for _, t := range topics {
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = t.name
		for p := int32(0); p < t.partitions; p++ {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp = p, which
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	found := make(map[string]listedOffset)
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return nil, fmt.Errorf("%s/%d: error %d", t.Topic, p.Partition, p.ErrorCode)
			}
			found[partitionFolder(t.Topic, p.Partition)] = listedOffset{p.Offset, p.Timestamp}
		}
	}
	return found, nil
}
