package kafka

import (
	"context"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// TopicSpec is a topic's shape: how it is to be created, or how it was found.
type TopicSpec struct {
	Name              string
	Partitions        int
	ReplicationFactor int // 0: as the broker is set
	Config            map[string]string
}

// CreateTopics creates topics. Those that exist are left as they are, so the
// call may be repeated; see DescribeTopics for what they are like.
func (c *Client) CreateTopics(ctx context.Context, specs []TopicSpec) error {
	if len(specs) == 0 {
		return nil
	}
	req := &kafkago.CreateTopicsRequest{}
	for _, s := range specs {
		t := kafkago.TopicConfig{Topic: s.Name, NumPartitions: s.Partitions, ReplicationFactor: s.ReplicationFactor}
		if t.ReplicationFactor == 0 {
			t.ReplicationFactor = -1
		}
		for name, value := range s.Config {
			t.ConfigEntries = append(t.ConfigEntries, kafkago.ConfigEntry{ConfigName: name, ConfigValue: value})
		}
		req.Topics = append(req.Topics, t)
	}
	return c.retry(ctx, func(ctx context.Context) error {
		res, err := c.api.CreateTopics(ctx, req)
		if err != nil {
			return fmt.Errorf("kafka: creating topics on %s: %w", c, err)
		}
		var errs []error
		for name, err := range res.Errors {
			if err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
				errs = append(errs, fmt.Errorf("kafka: creating topic %s: %w", name, err))
			}
		}
		return errors.Join(errs...)
	})
}

// DescribeTopics tells what topics are like now: their partitions, replication
// and every setting in force, those that come from defaults included. A topic
// that does not exist is missing from the answer.
func (c *Client) DescribeTopics(ctx context.Context, names []string) (map[string]TopicSpec, error) {
	if len(names) == 0 {
		return map[string]TopicSpec{}, nil
	}
	c.refresh(ctx)
	found := make(map[string]TopicSpec, len(names))
	err := c.retry(ctx, func(ctx context.Context) error {
		topics, err := c.topics(ctx, names)
		if err != nil {
			return err
		}
		clear(found)
		req := &kafkago.DescribeConfigsRequest{}
		for _, t := range topics {
			if t.ErrorCode == int16(kafkago.UnknownTopicOrPartition) {
				continue
			}
			if err := answer(t.ErrorCode); err != nil {
				return fmt.Errorf("kafka: describing topic %s: %w", t.Name, err)
			}
			s := TopicSpec{Name: t.Name, Partitions: len(t.Partitions)}
			if len(t.Partitions) > 0 {
				s.ReplicationFactor = len(t.Partitions[0].ReplicaNodes)
			}
			found[t.Name] = s
			req.Resources = append(req.Resources, kafkago.DescribeConfigRequestResource{
				ResourceType: kafkago.ResourceTypeTopic, ResourceName: t.Name,
			})
		}
		return c.describeConfigs(ctx, req, found)
	})
	return found, err
}

func (c *Client) describeConfigs(ctx context.Context, req *kafkago.DescribeConfigsRequest, into map[string]TopicSpec) error {
	if len(req.Resources) == 0 {
		return nil
	}
	res, err := c.api.DescribeConfigs(ctx, req)
	if err != nil {
		return fmt.Errorf("kafka: asking %s for the settings of topics: %w", c, err)
	}
	for _, r := range res.Resources {
		if errors.Is(r.Error, kafkago.UnknownTopicOrPartition) {
			delete(into, r.ResourceName)
			continue
		}
		if r.Error != nil {
			return fmt.Errorf("kafka: asking for the settings of topic %s: %w", r.ResourceName, r.Error)
		}
		s := into[r.ResourceName]
		s.Config = make(map[string]string, len(r.ConfigEntries))
		for _, e := range r.ConfigEntries {
			s.Config[e.ConfigName] = e.ConfigValue
		}
		into[r.ResourceName] = s
	}
	return nil
}
