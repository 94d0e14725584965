package clickhouse_test

import (
	"strings"
	"testing"

	"holdfast/ingest/embedded/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
)

// A disk without room is not the fault of the rows that could not be written: the
// answer says so by its code, and the same insert succeeds when there is room.
func TestFullDiskIsNotTheRowsFault(t *testing.T) {
	dir := clickhousetest.SmallDisk(t, "64")
	addr := clickhousetest.Supervise(t, clickhouse.Config{Dir: dir}).Addr()
	if _, body := post(t, addr, nil, "CREATE TABLE lines (n Int32, s String) ENGINE = MergeTree ORDER BY n"); body != "" {
		t.Fatal(body)
	}
	empty := clickhousetest.Fill(t, dir)
	insert := params(values{"query": "INSERT INTO lines FORMAT CSV"})
	rows := strings.Repeat("1,\""+strings.Repeat("x", 1000)+"\"\n", 1000)
	if _, body := post(t, addr, insert, rows); !strings.HasPrefix(body, "Code: 243.") {
		t.Errorf("%s, want Code: 243", body)
	}
	empty()
	if _, body := post(t, addr, insert, rows); body != "" {
		t.Error(body)
	}
	if _, body := post(t, addr, nil, "SELECT count() FROM lines"); body != "1000\n" {
		t.Errorf("%s rows, want 1000", body)
	}
}

// A declaration that finds no room is refused and leaves nothing: the engine itself would
// write an empty file in its place.
func TestFullDiskTakesNoDeclarations(t *testing.T) {
	dir := clickhousetest.SmallDisk(t, "64")
	addr := clickhousetest.Supervise(t, clickhouse.Config{Dir: dir}).Addr()
	if _, body := post(t, addr, nil, "CREATE TABLE lines (n Int32) ENGINE = MergeTree ORDER BY n"); body != "" {
		t.Fatal(body)
	}
	declarations := []string{
		"CREATE TABLE others (n Int32) ENGINE = MergeTree ORDER BY n",
		"/* a */ alter TABLE lines ADD COLUMN s String",
		"ALTER TABLE lines MODIFY COMMENT 'PART'",
	}
	empty := clickhousetest.Fill(t, dir)
	for _, sql := range declarations {
		if _, body := post(t, addr, nil, sql); !strings.HasPrefix(body, "Code: 243.") {
			t.Errorf("%s: %s, want Code: 243", sql, body)
		}
	}
	empty()
	for _, sql := range declarations {
		if _, body := post(t, addr, nil, sql); body != "" {
			t.Errorf("%s: %s", sql, body)
		}
	}
}
