// Package kafkatest gives tests real Kafka brokers: the embedded one in this
// process, and Apache Kafka in a process of its own.
//
// Brokers hold topics of several tests at once, so a test names its topics with
// Name. Where Apache Kafka cannot be had the test is skipped with a line that says
// what to install; with CI=true it fails instead.
package kafkatest

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"holdfast/ingest/embedded/broker"
)

// Embedded starts an embedded broker on a folder of the test's own and stops it
// when the test ends.
func Embedded(tb testing.TB) []string {
	tb.Helper()
	b := broker.New(broker.Config{Dir: tb.TempDir()})
	if err := b.Start(); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("stop the embedded broker: %v", err)
		}
	})
	return []string{b.Addr()}
}

// Each runs a test once on the embedded broker and once on Apache Kafka.
func Each(t *testing.T, test func(t *testing.T, brokers []string)) {
	t.Run("embedded", func(t *testing.T) { test(t, Embedded(t)) })
	t.Run("apache", func(t *testing.T) { test(t, Apache(t)) })
}

var named atomic.Int64

// Name makes a name for a topic or group that no other test uses.
func Name(tb testing.TB) string {
	clean := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}
	name := strings.Map(clean, tb.Name())
	if len(name) > 120 {
		name = name[len(name)-120:]
	}
	return fmt.Sprintf("%s-%d-%d-%d", name, os.Getpid(), time.Now().UnixNano(), named.Add(1))
}

// Topic makes a topic with that many partitions under a name of its own and the
// given settings, as pairs of key and value, and returns the name once the broker
// leads all its partitions.
func Topic(tb testing.TB, brokers []string, partitions int, settings ...string) string {
	tb.Helper()
	name := Name(tb)
	spec := kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: 1}
	for i := 0; i+1 < len(settings); i += 2 {
		spec.ConfigEntries = append(spec.ConfigEntries, kafka.ConfigEntry{ConfigName: settings[i], ConfigValue: settings[i+1]})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client := &kafka.Client{Addr: kafka.TCP(brokers...), Transport: new(kafka.Transport)}
	defer client.Transport.(*kafka.Transport).CloseIdleConnections()
	resp, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{spec}})
	if err == nil {
		err = resp.Errors[name]
	}
	if err != nil {
		tb.Fatalf("make topic %s: %v", name, err)
	}
	for !hasLeaders(ctx, client, name, partitions) {
		select {
		case <-ctx.Done():
			tb.Fatalf("topic %s has no leaders after 30 s", name)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return name
}

func hasLeaders(ctx context.Context, client *kafka.Client, topic string, partitions int) bool {
	// A metadata request past the transport's cache would need a new client;
	// asking for the offsets reaches the leaders themselves.
	req := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{}}
	for p := range partitions {
		req.Topics[topic] = append(req.Topics[topic], kafka.LastOffsetOf(p))
	}
	resp, err := client.ListOffsets(ctx, req)
	if err != nil || len(resp.Topics[topic]) != partitions {
		return false
	}
	for _, p := range resp.Topics[topic] {
		if p.Error != nil {
			return false
		}
	}
	return true
}

// freePort finds a port that nobody listens on now.
func freePort() (int, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}
