package clickhouse

import (
	"testing"

	"holdfast/ingest/embedded/clickhouse/clickhousetest"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

// open starts an engine of the test's own and connects to it.
func open(tb testing.TB, change ...func(*Config)) *Client {
	tb.Helper()
	return openAt(tb, clickhousetest.Start(tb), change...)
}

func openAt(tb testing.TB, addr string, change ...func(*Config)) *Client {
	tb.Helper()
	cfg := Config{Addrs: []string{addr}}
	for _, f := range change {
		f(&cfg)
	}
	c, err := Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}
