package broker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/goleak"

	"holdfast/ingest/embedded/broker"
	"holdfast/ingest/embedded/folder"
)

// dirVariable tells a started test binary to be a broker on that folder, which is
// how a broker can be killed.
const dirVariable = "HOLDFAST_TEST_BROKER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		b := broker.New(broker.Config{Dir: dir})
		if err := b.Start(); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("ready", b.Addr())
		_ = b.Run(context.Background())
	}
	goleak.VerifyTestMain(m)
}

// start runs a broker in this process until stop is called.
func start(t *testing.T, cfg broker.Config) (b *broker.Broker, stop func()) {
	t.Helper()
	b = broker.New(cfg)
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return b, stop
}

// startProcess runs a broker in a process of its own.
func startProcess(t *testing.T, dir string) (cmd *exec.Cmd, addr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(self)
	cmd.Env = append(os.Environ(), dirVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, scanErr := fmt.Sscanf(line, "ready %s", &addr); scanErr != nil {
		t.Fatalf("the broker said %q: %v", line, err)
	}
	return cmd, addr
}

func client(t *testing.T, addr string) *kafka.Client {
	transport := new(kafka.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return &kafka.Client{Addr: kafka.TCP(addr), Transport: transport, Timeout: 10 * time.Second}
}

func createTopic(t *testing.T, c *kafka.Client, name string, settings ...string) {
	t.Helper()
	spec := kafka.TopicConfig{Topic: name, NumPartitions: 1, ReplicationFactor: 1}
	for i := 0; i+1 < len(settings); i += 2 {
		spec.ConfigEntries = append(spec.ConfigEntries, kafka.ConfigEntry{ConfigName: settings[i], ConfigValue: settings[i+1]})
	}
	resp, err := c.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{spec}})
	if err = errors.Join(err, resp.Errors[name]); err != nil {
		t.Fatal(err)
	}
}

func produce(t *testing.T, c *kafka.Client, topic string, at time.Time, keyValues ...string) (base int64) {
	t.Helper()
	var records []kafka.Record
	for i := 0; i+1 < len(keyValues); i += 2 {
		records = append(records, kafka.Record{Key: kafka.NewBytes([]byte(keyValues[i])), Value: kafka.NewBytes([]byte(keyValues[i+1])), Time: at})
	}
	resp, err := c.Produce(context.Background(), &kafka.ProduceRequest{Topic: topic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...)})
	if err = errors.Join(err, resp.Error); err != nil {
		t.Fatal(err)
	}
	return resp.BaseOffset
}

func offsets(t *testing.T, c *kafka.Client, topic string) (first, last int64) {
	t.Helper()
	resp, err := c.ListOffsets(context.Background(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0)}}})
	if err != nil {
		t.Fatal(err)
	}
	p := resp.Topics[topic][0]
	return p.FirstOffset, p.LastOffset
}

// read returns "key=value" of every record, "~" for one of kind fence.
func read(t *testing.T, c *kafka.Client, topic string) string {
	t.Helper()
	var got []string
	first, last := offsets(t, c, topic)
	for at := first; at < last; {
		resp, err := c.Fetch(context.Background(), &kafka.FetchRequest{Topic: topic, Offset: at, MaxBytes: 1 << 20, MinBytes: 1, MaxWait: time.Second})
		if err = errors.Join(err, resp.Error); err != nil {
			t.Fatal(err)
		}
		before := at
		for {
			r, err := resp.Records.ReadRecord()
			if err != nil {
				break
			}
			at = r.Offset + 1
			if r.Offset >= before {
				got = append(got, text(r))
			}
		}
		if at == before {
			at++
		}
	}
	return strings.Join(got, " ")
}

func text(r *kafka.Record) string {
	for _, h := range r.Headers {
		if h.Key == "kind" && string(h.Value) == "fence" {
			return "~"
		}
	}
	bytes := func(b kafka.Bytes) string {
		if b == nil {
			return ""
		}
		v, _ := kafka.ReadAll(b)
		return string(v)
	}
	return bytes(r.Key) + "=" + bytes(r.Value)
}

// TestRestart stops a broker cleanly, kills it, and starts it again: topics with
// their settings, records, committed offsets and producer epochs are still there.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	b, stop := start(t, broker.Config{Dir: dir})
	if got := b.Previous(); got != broker.StopNone {
		t.Errorf("a new folder stopped %q before", got)
	}
	c := client(t, b.Addr())
	createTopic(t, c, "events", "retention.ms", "123456789", "max.message.bytes", "2097152")
	produce(t, c, "events", time.Now(), "a", "1")
	epoch := func(c *kafka.Client) int {
		t.Helper()
		resp, err := c.InitProducerID(ctx, &kafka.InitProducerIDRequest{TransactionalID: "lane-0", TransactionTimeoutMs: 10_000, ProducerID: -1, ProducerEpoch: -1})
		if err = errors.Join(err, resp.Error); err != nil {
			t.Fatal(err)
		}
		return resp.Producer.ProducerEpoch
	}
	commit := func(c *kafka.Client, offset int64, metadata string) {
		t.Helper()
		resp, err := c.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: "record", GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{"events": {{Partition: 0, Offset: offset, Metadata: metadata}}}})
		if err != nil || resp.Topics["events"][0].Error != nil {
			t.Fatal(err, resp)
		}
	}
	first := epoch(c)
	commit(c, 1, "a 7")
	stop()

	process, addr := startProcess(t, dir)
	c = client(t, addr)
	produce(t, c, "events", time.Now(), "b", "2")
	second := epoch(c)
	commit(c, 2, "b 9")
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait()

	b, stop = start(t, broker.Config{Dir: dir})
	if got := b.Previous(); got != broker.StopKilled || got.TailLost() || got.Clean() {
		t.Errorf("a killed broker stopped %q before", got)
	}
	c = client(t, b.Addr())
	if got := read(t, c, "events"); got != "a=1 b=2" {
		t.Errorf("records %q", got)
	}
	if third := epoch(c); first >= second || second >= third {
		t.Errorf("epochs %d, %d, %d do not grow", first, second, third)
	}
	committed, err := c.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: "record", Topics: map[string][]int{"events": {0}}})
	if err != nil {
		t.Fatal(err)
	}
	if p := committed.Topics["events"][0]; p.CommittedOffset != 2 || p.Metadata != "b 9" {
		t.Errorf("committed %d %q", p.CommittedOffset, p.Metadata)
	}
	configs, err := c.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: "events", ConfigNames: []string{"retention.ms"}}}})
	if err != nil || configs.Resources[0].ConfigEntries[0].ConfigValue != "123456789" {
		t.Errorf("settings %+v, %v", configs, err)
	}
	stop()

	b, _ = start(t, broker.Config{Dir: dir})
	if got := b.Previous(); got != broker.StopClean {
		t.Errorf("a closed broker stopped %q before", got)
	}
}

// TestStopOfMachine pretends that the kernel has been started again since.
func TestStopOfMachine(t *testing.T) {
	for _, content := range []string{`{"state":"running","boot":"another"}`, `{"state":"running"}`, `{"sta`, ``} {
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/broker.json", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		b, _ := start(t, broker.Config{Dir: dir})
		if got := b.Previous(); got != broker.StopMachine || !got.TailLost() {
			t.Errorf("%s: %q", content, got)
		}
	}
}

func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	_, addr := startProcess(t, dir)
	err := broker.New(broker.Config{Dir: dir}).Start()
	if !errors.Is(err, folder.ErrInUse) || !strings.Contains(fmt.Sprint(err), dir) {
		t.Errorf("a second broker on %s (the first serves %s): %v", dir, addr, err)
	}
}

func TestForeignAddress(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":9092", "192.0.2.1:9092", "nonsense"} {
		if err := broker.New(broker.Config{Dir: t.TempDir(), Addr: addr}).Start(); err == nil {
			t.Errorf("%s was accepted", addr)
		}
	}
}

// TestMessageSize checks the largest batch, and that a topic must be made before
// it is written.
func TestMessageSize(t *testing.T) {
	b, _ := start(t, broker.Config{Dir: t.TempDir()})
	c := client(t, b.Addr())
	createTopic(t, c, "events")
	produce(t, c, "events", time.Now(), "k", strings.Repeat("x", broker.MaxMessageBytes-1000))
	send := func(topic string, size int) error {
		record := kafka.Record{Value: kafka.NewBytes(make([]byte, size))}
		resp, err := c.Produce(context.Background(), &kafka.ProduceRequest{Topic: topic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(record)})
		if err != nil {
			return err
		}
		return resp.Error
	}
	if err := send("events", broker.MaxMessageBytes); !errors.Is(err, kafka.MessageSizeTooLarge) {
		t.Errorf("a batch over the limit: %v", err)
	}
	if err := send("no-such-topic", 1); err == nil {
		t.Error("a topic was made by writing to it")
	}
}

// fields cuts what read returned into keys and values.
func fields(records string) (pairs [][2]string) {
	for _, f := range strings.Fields(records) {
		key, value, _ := strings.Cut(f, "=")
		pairs = append(pairs, [2]string{key, value})
	}
	return pairs
}
