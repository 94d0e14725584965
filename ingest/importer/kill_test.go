package importer

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"holdfast/ingest/embedded/broker"
	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

const brokerFolder, brokerAddress = "HOLDFAST_TEST_BROKER_FOLDER", "HOLDFAST_TEST_BROKER_ADDRESS"

// TestMain is also the broker that TestBrokerIsKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(brokerFolder); dir != "" {
		b := broker.New(broker.Config{Dir: dir, Addr: os.Getenv(brokerAddress)})
		if err := b.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = b.Run(context.Background())
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/segmentio/kafka-go.(*conn).run"),
		goleak.IgnoreAnyFunction("github.com/segmentio/kafka-go.(*connPool).discover"))
}

// child runs the broker in a process of its own, which kill ends with SIGKILL.
func child(t *testing.T, dir, addr string) (kill func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), brokerFolder+"="+dir, brokerAddress+"="+addr)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The embedded broker is killed again and again while a file goes in: each record
// stands once, in the file's order within its account.
func TestBrokerIsKilled(t *testing.T) {
	const lanes, records, kills = 4, 100_000, 5
	dir, addr := t.TempDir(), freeAddress(t)
	kill := child(t, dir, addr)
	defer func() { kill() }()
	client, err := kafka.New(kafka.Config{Brokers: []string{addr}, RetryFor: time.Millisecond, MetadataTTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, topic := range []string{"holdfast.events", "holdfast.rejected"} {
		spec := []kafka.TopicSpec{{Name: topic, Partitions: lanes, ReplicationFactor: 1, Config: map[string]string{"retention.ms": "-1"}}}
		for err := client.CreateTopics(ctx, spec); err != nil; err = client.CreateTopics(ctx, spec) {
			if ctx.Err() != nil || !kafka.Retriable(err) {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	p := intake.NewProducer(intake.Config{BatchRecords: 200}, intake.Deps{Broker: client})
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { _ = p.Run(running); close(ended) }()
	defer func() { stop(); <-ended }()

	killed := 0
	d := deps(p)
	d.Progress = func(pr Progress) {
		if killed < kills && pr.Lines > int64(killed+1)*records/(kills+2) {
			killed++
			kill()
			kill = child(t, dir, addr)
		}
	}
	sum, err := Run(ctx, Config{Files: []string{write(t, "events.ndjson", events(records))}, Rate: 50_000}, d)
	if err != nil || sum.Accepted != records || killed < 3 {
		t.Fatalf("%+v after %d kills: %v", sum, killed, err)
	}
	seen := map[string]int{}
	for lane := range int32(lanes) {
		at := kafka.Position{TopicPartition: kafka.TopicPartition{Topic: "holdfast.events", Partition: lane}}
		for {
			got, err := client.Fetch(ctx, []kafka.Position{at}, kafka.FetchOptions{})
			if err != nil || got[0].Err != nil {
				t.Fatal(err, got[0].Err)
			}
			for _, r := range got[0].Records {
				for _, h := range r.Headers {
					if h.Key == schemas.HeaderID {
						seen[string(h.Value)]++
					}
				}
			}
			if at.Offset = got[0].Next; at.Offset >= got[0].HighWatermark {
				break
			}
		}
	}
	doubled := 0
	for _, n := range seen {
		doubled += n - 1
	}
	if len(seen) != records || doubled != 0 {
		t.Errorf("%d records stand, %d of them doubled, want %d and none", len(seen), doubled, records)
	}
}
