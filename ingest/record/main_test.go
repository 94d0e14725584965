package record

import (
	"testing"

	"go.uber.org/goleak"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
	"holdfast/ingest/kafka/kafkatest"
)

func TestMain(m *testing.M) {
	clickhousetest.RunChild()
	goleak.VerifyTestMain(m, kafkatest.IgnoreApache())
}

// openStore starts an engine of the test's own, with the tables made.
func openStore(tb testing.TB) *clickhouse.Client {
	tb.Helper()
	return connect(tb, clickhousetest.Start(tb))
}

func connect(tb testing.TB, addr string) *clickhouse.Client {
	tb.Helper()
	c, err := clickhouse.Open(clickhouse.Config{Addrs: []string{addr}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if _, err := clickhouse.Migrate(tb.Context(), c, clickhouse.MigrateOptions{}); err != nil {
		tb.Fatal(err)
	}
	return c
}
