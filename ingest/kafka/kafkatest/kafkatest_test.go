package kafkatest_test

import (
	"context"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/goleak"

	"holdfast/ingest/kafka/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kafkatest.IgnoreApache()) }

func TestEach(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		topic := kafkatest.Topic(t, brokers, 3, "cleanup.policy", "compact")
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		transport := new(kafka.Transport)
		defer transport.CloseIdleConnections()
		w := &kafka.Writer{Transport: transport, Addr: kafka.TCP(brokers...), Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond}
		defer w.Close()
		if err := w.WriteMessages(ctx, kafka.Message{Key: []byte("k"), Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
	})
}
