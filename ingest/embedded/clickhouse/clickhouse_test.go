package clickhouse_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"holdfast/ingest/embedded/clickhouse/clickhousetest"
)

// TestClient walks one engine through what clickhouse-go does.
func TestClient(t *testing.T) {
	addr := clickhousetest.Start(t)
	t.Run("durable", func(t *testing.T) {
		var n uint64
		const q = "SELECT count() FROM system.merge_tree_settings WHERE name IN ('fsync_after_insert', 'fsync_part_directory', 'min_rows_to_fsync_after_merge') AND value = '1'"
		if err := clickhousetest.Open(t, addr).QueryRow(context.Background(), q).Scan(&n); err != nil || n != 3 {
			t.Errorf("%d of 3 settings hold, %v", n, err)
		}
	})
	t.Run("columns", func(t *testing.T) { testColumns(t, clickhousetest.Open(t, addr)) })
	t.Run("token", func(t *testing.T) { testToken(t, clickhousetest.Open(t, addr)) })
	for name, method := range map[string]chgo.CompressionMethod{"lz4": chgo.CompressionLZ4, "zstd": chgo.CompressionZSTD, "gzip": chgo.CompressionGZIP, "deflate": chgo.CompressionDeflate} {
		t.Run(name, func(t *testing.T) {
			conn, err := chgo.Open(&chgo.Options{
				Addr: []string{addr}, Protocol: chgo.HTTP, Compression: &chgo.Compression{Method: method, Level: 1},
				Settings: chgo.Settings{"enable_http_compression": 1},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			testColumns(t, conn)
		})
	}
}

type row struct {
	ID     uint64
	Kind   string
	At     time.Time
	Tags   []string
	Fields map[string]string
	Score  float64
	Raw    string
	Maybe  *string
}

func testColumns(t *testing.T, conn chgo.Conn) {
	ctx := context.Background()
	for _, ddl := range []string{
		"DROP TABLE IF EXISTS columns",
		"CREATE TABLE columns (id UInt64, kind LowCardinality(String), at DateTime64(3, 'UTC'), tags Array(LowCardinality(String)), fields Map(String, String), score Float64, raw String, maybe Nullable(String)) ENGINE = MergeTree ORDER BY id",
	} {
		if err := conn.Exec(ctx, ddl); err != nil {
			t.Fatal(err)
		}
	}
	text := "a\nb\x00c'\\"
	want := []row{
		{ID: 1, Kind: "send", At: time.UnixMilli(1_700_000_000_123).UTC(), Tags: []string{"x", "y"}, Fields: map[string]string{"k": "v\n"}, Score: 0.5, Raw: text, Maybe: &text},
		{ID: 2, Kind: "login", At: time.UnixMilli(1).UTC(), Tags: []string{}, Fields: map[string]string{}, Score: -1, Raw: ""},
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO columns")
	if err != nil {
		t.Fatal(err)
	}
	r := func(i int, values ...any) {
		t.Helper()
		for _, v := range values {
			if err := batch.Column(i).Append(v); err != nil {
				t.Fatal(err)
			}
		}
	}
	r(0, []uint64{1, 2})
	r(1, []string{"send", "login"})
	r(2, []time.Time{want[0].At, want[1].At})
	r(3, [][]string{want[0].Tags, want[1].Tags})
	r(4, []map[string]string{want[0].Fields, want[1].Fields})
	r(5, []float64{0.5, -1})
	r(6, []string{text, ""})
	r(7, []*string{&text, nil})
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(ctx, "SELECT * FROM columns WHERE id >= {low:UInt64} AND raw != {not:String} ORDER BY id", chgo.Named("low", "1"), chgo.Named("not", "nothing"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []row
	for rows.Next() {
		var g row
		if err := rows.Scan(&g.ID, &g.Kind, &g.At, &g.Tags, &g.Fields, &g.Score, &g.Raw, &g.Maybe); err != nil {
			t.Fatal(err)
		}
		got = append(got, g)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was read differs from what was written:\n%s", diff)
	}
}

func testToken(t *testing.T, conn chgo.Conn) {
	ctx := context.Background()
	if err := conn.Exec(ctx, "CREATE TABLE token (n UInt32) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100"); err != nil {
		t.Fatal(err)
	}
	send := func(token string, n uint32) {
		t.Helper()
		ctx := chgo.Context(ctx, chgo.WithSettings(chgo.Settings{"insert_deduplication_token": token, "async_insert": 0}))
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO token (n)")
		if err != nil {
			t.Fatal(err)
		}
		if err := batch.Append(n); err != nil {
			t.Fatal(err)
		}
		if err := batch.Send(); err != nil {
			t.Fatal(err)
		}
	}
	send("log/topic/0/10/20 'quoted'", 1)
	send("log/topic/0/10/20 'quoted'", 2)
	send("log/topic/0/20/30", 1)
	var n uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM token").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != 2 {
		t.Errorf("%d rows, want 2: the same token must count once, whatever it brings, and another token always", n)
	}
}

// response is an answer whose body has been read.
type response struct {
	StatusCode int
	Header     http.Header
}

func post(t *testing.T, addr string, params url.Values, body string, header ...string) (response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/?"+params.Encode(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return do(t, req, header...)
}

func do(t *testing.T, req *http.Request, header ...string) (response, string) {
	t.Helper()
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header}, string(got)
}
