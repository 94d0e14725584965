package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"holdfast/ingest/embedded/broker"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// TestAgedOut lets every record of a partition age out: its offsets go on where
// they were, also after a restart. A compacted topic that says so keeps all.
func TestAgedOut(t *testing.T) {
	dir := t.TempDir()
	b, stop := start(t, broker.Config{Dir: dir, RetentionEvery: 20 * time.Millisecond})
	c := client(t, b.Addr())
	createTopic(t, c, "aged", "retention.ms", "60000")
	createTopic(t, c, "fresh", "retention.ms", "60000")
	createTopic(t, c, "empty", "retention.ms", "60000")
	createTopic(t, c, "state", "cleanup.policy", "compact", "retention.ms", "-1")
	old := time.Now().Add(-time.Hour)
	produce(t, c, "state", old, "a", "1")
	produce(t, c, "fresh", old, "a", "1")
	produce(t, c, "fresh", time.Now(), "b", "2")
	for range 5 {
		produce(t, c, "aged", old, "a", "1")
	}
	eventually(t, "the old records are dropped", func() bool {
		aged, _ := offsets(t, c, "aged")
		fresh, _ := offsets(t, c, "fresh")
		return aged >= 5 && fresh == 1
	})
	_, end := offsets(t, c, "aged")
	stop()

	b, _ = start(t, broker.Config{Dir: dir})
	c = client(t, b.Addr())
	if _, got := offsets(t, c, "aged"); got < end {
		t.Errorf("the log ended at %d and ends at %d after a restart", end, got)
	}
	for topic, want := range map[string]string{"aged": "~", "fresh": "b=2", "empty": "", "state": "a=1"} {
		if got := read(t, c, topic); got != want {
			t.Errorf("%s holds %q, want %q", topic, got, want)
		}
	}
}

// TestAgedOutBehindALogin: the broker that asks everybody for a login cleans its own logs.
func TestAgedOutBehindALogin(t *testing.T) {
	b, _ := start(t, broker.Config{Dir: t.TempDir(), RetentionEvery: 20 * time.Millisecond, Password: password})
	c := client(t, b.Addr())
	c.Transport.(*kafka.Transport).SASL = scramAs(t, "holdfast", password)
	createTopic(t, c, "aged", "retention.ms", "60000")
	for range 5 {
		produce(t, c, "aged", time.Now().Add(-time.Hour), "a", "1")
	}
	eventually(t, "the old records are dropped", func() bool {
		aged, _ := offsets(t, c, "aged")
		return aged >= 5
	})
}

// TestCompaction writes over a few keys until the broker compacts by itself.
func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	b, stop := start(t, broker.Config{Dir: dir, RetentionEvery: 20 * time.Millisecond, CompactAt: 32 << 10})
	c := client(t, b.Addr())
	createTopic(t, c, "state", "cleanup.policy", "compact", "retention.ms", "-1")
	createTopic(t, c, "journal", "cleanup.policy", "delete", "retention.ms", "-1")
	n := 0
	write := func() {
		for range 50 {
			n++
			produce(t, c, "state", time.Now(), fmt.Sprint("key", n%3), fmt.Sprint(n))
			produce(t, c, "journal", time.Now(), "k", "v")
		}
	}
	eventually(t, "the topic is compacted", func() bool {
		write()
		first, _ := offsets(t, c, "state")
		return first > 100
	})
	_, end := offsets(t, c, "state")
	if end != int64(n) {
		t.Errorf("the log ends at %d, want %d", end, n)
	}
	check := func() {
		t.Helper()
		latest := map[string]string{}
		for _, kv := range fields(read(t, c, "state")) {
			latest[kv[0]] = kv[1]
		}
		for i := n - 2; i <= n; i++ {
			if got := latest[fmt.Sprint("key", i%3)]; got != fmt.Sprint(i) {
				t.Errorf("key%d is %s, want %d", i%3, got, i)
			}
		}
		if first, _ := offsets(t, c, "journal"); first != 0 {
			t.Errorf("the journal begins at %d", first)
		}
	}
	check()
	stop()
	b, _ = start(t, broker.Config{Dir: dir})
	c = client(t, b.Addr())
	check()
}

// The broker logs in to itself where it asks for a login, so that its logs do not grow
// for ever.
func TestCleaningWithALogin(t *testing.T) {
	b, _ := start(t, broker.Config{Dir: t.TempDir(), Password: password, RetentionEvery: 20 * time.Millisecond})
	transport := &kafka.Transport{SASL: scramAs(t, "holdfast", password)}
	t.Cleanup(transport.CloseIdleConnections)
	c := &kafka.Client{Addr: kafka.TCP(b.Addr()), Transport: transport, Timeout: 10 * time.Second}
	createTopic(t, c, "aged", "retention.ms", "60000")
	produce(t, c, "aged", time.Now().Add(-time.Hour), "a", "1")
	eventually(t, "the old record is dropped", func() bool {
		aged, _ := offsets(t, c, "aged")
		return aged >= 1
	})
}
