package clickhouse_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"holdfast/ingest/embedded/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
)

type values = map[string]string

func params(v values) url.Values {
	q := url.Values{}
	for name, value := range v {
		q.Set(name, value)
	}
	return q
}

// TestHTTP asks what a person with curl, or Grafana, would ask.
func TestHTTP(t *testing.T) {
	addr := clickhousetest.Start(t)
	if _, body := post(t, addr, nil, "CREATE TABLE lines (n Int32, s String) ENGINE = MergeTree ORDER BY n"); body != "" {
		t.Fatal(body)
	}
	if _, body := post(t, addr, nil, "CREATE DATABASE other"); body != "" {
		t.Fatal(body)
	}
	tests := []struct {
		name   string
		params values
		body   string
		header []string
		status int
		want   string // the whole answer, or with … its beginning
	}{
		{name: "body", body: "SELECT 1, 'a'", status: 200, want: "1\ta\n"},
		{name: "parameter", params: values{"query": "SELECT 2"}, status: 200, want: "2\n"},
		{name: "query goes on in the body", params: values{"query": "SELECT 1"}, body: "+ 2", status: 200, want: "3\n"},
		{name: "format in the query", body: "SELECT 1 AS x FORMAT JSONEachRow", status: 200, want: "{\"x\":1}\n"},
		{name: "default format", params: values{"default_format": "CSV"}, body: "SELECT 'a', 2", status: 200, want: "\"a\",2\n"},
		{name: "format header", body: "SELECT 'a'", header: []string{"X-ClickHouse-Format", "JSONEachRow"}, status: 200, want: "{\"'a'\":\"a\"}\n"},
		{name: "semicolon", body: "SELECT 1;\n", status: 200, want: "1\n"},
		{name: "query parameter", params: values{"param_x": `a\tb'`}, body: "SELECT {x:String}", status: 200, want: "a\\tb\\'\n"},
		{name: "a missing query parameter", body: "SELECT {x:String}", status: 400, want: "Code: 456…"},
		{name: "setting", params: values{"max_threads": "1"}, body: "SELECT getSetting('max_threads')", status: 200, want: "1\n"},
		{name: "a setting holds for its request", body: "SELECT getSetting('max_threads') = 1", status: 200, want: "0\n"},
		{name: "unknown setting", params: values{"no_such": "1"}, body: "SELECT 1", status: 404, want: "Code: 115. DB::Exception: Unknown setting 'no_such'…"},
		{name: "setting name with SQL", params: values{"a = 1, b": "1"}, body: "SELECT 1", status: 404, want: "Code: 115…"},
		{name: "setting value with SQL", params: values{"log_comment": `a', max_threads = '7\`}, body: "SELECT getSetting('log_comment')", status: 200, want: `a\', max_threads = \'7\\` + "\n"},
		{name: "database", params: values{"database": "other"}, body: "SELECT currentDatabase()", status: 200, want: "other\n"},
		{name: "unknown database", params: values{"database": "none`; DROP"}, body: "SELECT 1", status: 404, want: "Code: 81…"},
		{name: "unknown table", body: "SELECT * FROM nowhere", status: 404, want: "Code: 60. DB::Exception: …"},
		{name: "syntax", body: "SELEKT 1", status: 400, want: "Code: 62. DB::Exception: Syntax error…"},
		{name: "empty", body: " -- nothing\n", status: 400, want: "Code: 62. DB::Exception: Empty query…"},
		{name: "two statements", body: "SELECT 1; SELECT 2", status: 400, want: "Code: 62. DB::Exception: Multi-statements are not allowed…"},
		{name: "session", params: values{"session_id": "x"}, body: "SELECT 1", status: 501, want: "Code: 48…"},
		{name: "insert values", body: "INSERT INTO lines VALUES (1, 'one'), (2, 'a;b')", status: 200},
		{name: "insert with the data in the body", params: values{"query": "INSERT INTO lines FORMAT CSV"}, body: "3,\"three\nlines\"\n4,four\n", status: 200},
		{name: "insert and data in one body", body: "INSERT INTO lines (s, n) SETTINGS input_format_null_as_default = 1 FORMAT JSONEachRow\n{\"n\":5,\"s\":\"FORMAT x\"}\n", status: 200},
		{name: "insert select", body: "INSERT INTO lines SELECT number + 10, 'many' FROM numbers(3)", status: 200},
		{name: "insert of bad data", params: values{"query": "INSERT INTO lines FORMAT CSV"}, body: "x,y\n", status: 400, want: "Code: 27…"},
		{name: "all of it", body: "SELECT n, s FROM lines ORDER BY n FORMAT CSV", status: 200, want: "1,\"one\"\n2,\"a;b\"\n3,\"three\nlines\"\n4,\"four\"\n5,\"FORMAT x\"\n10,\"many\"\n11,\"many\"\n12,\"many\"\n"},
		{name: "another site", body: "SELECT 1", header: []string{"Origin", "https://example.com"}, status: 403, want: "Code: 516…"},
		{name: "a page of another port", body: "SELECT 1", header: []string{"Origin", "http://localhost:3000"}, status: 403, want: "Code: 516…"},
		{name: "a page of this engine", body: "SELECT 1", header: []string{"Origin", "http://" + addr}, status: 200, want: "1\n"},
		{name: "wrong user", body: "SELECT 1", header: []string{"X-ClickHouse-User", "eve"}, status: 403, want: "Code: 516…"},
		{name: "wrong password", params: values{"password": "x"}, body: "SELECT 1", status: 403, want: "Code: 516…"},
		{name: "unknown encoding", body: "SELECT 1", header: []string{"Content-Encoding", "br"}, status: 501, want: "Code: 48…"},
		{name: "not gzip", body: "SELECT 1", header: []string{"Content-Encoding", "gzip"}, status: 400, want: "Code: 36…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := post(t, addr, params(tt.params), tt.body, tt.header...)
			prefix, open := strings.CutSuffix(tt.want, "…")
			if resp.StatusCode != tt.status || (body != tt.want && (!open || !strings.HasPrefix(body, prefix))) {
				t.Errorf("status %d, %q; want %d, %q", resp.StatusCode, body, tt.status, tt.want)
			}
			code := resp.Header.Get("X-ClickHouse-Exception-Code")
			if (tt.status == 200) != (code == "") {
				t.Errorf("X-ClickHouse-Exception-Code is %q with status %d", code, resp.StatusCode)
			}
		})
	}
	t.Run("get", func(t *testing.T) { testGet(t, addr) })
	t.Run("headers", func(t *testing.T) { testHeaders(t, addr) })
	t.Run("gzip", func(t *testing.T) { testGzip(t, addr) })
	t.Run("rebinding", func(t *testing.T) {
		req, _ := http.NewRequest(http.MethodPost, "http://"+addr+"/", strings.NewReader("SELECT 1"))
		req.Host = "rebound.example.com"
		if resp, body := do(t, req); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%d %s: a foreign Host must be refused", resp.StatusCode, body)
		}
	})
	t.Run("long answer", func(t *testing.T) { testLongAnswer(t, addr) })
	t.Run("reads pass inserts", func(t *testing.T) { testReadsPass(t, addr) })
}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, body := do(t, req)
	return resp.StatusCode, body
}

func testGet(t *testing.T, addr string) {
	for path, want := range map[string]string{"/ping": "Ok.\n", "/": "Ok.\n", "/?query=SELECT%207": "7\n"} {
		if code, body := get(t, "http://"+addr+path); code != 200 || body != want {
			t.Errorf("GET %s: %d %q, want %q", path, code, body, want)
		}
	}
	if code, _ := get(t, "http://"+addr+"/nowhere"); code != 404 {
		t.Errorf("GET /nowhere: %d", code)
	}
	if code, body := get(t, "http://"+addr+"/?query="+url.QueryEscape("DROP TABLE lines")); code == 200 || !strings.Contains(body, "Code: 164") {
		t.Errorf("GET must not write: %d %s", code, body)
	}
}

func testHeaders(t *testing.T, addr string) {
	resp, _ := post(t, addr, params(values{"query_id": "abc"}), "SELECT n FROM lines FORMAT JSON")
	for name, want := range map[string]string{
		"X-ClickHouse-Query-Id": "abc", "X-ClickHouse-Format": "JSON", "Content-Type": "application/json; charset=UTF-8",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := resp.Header.Get("X-ClickHouse-Summary"); !strings.Contains(got, `"read_rows":"8"`) {
		t.Errorf("summary %s", got)
	}
}

func testGzip(t *testing.T, addr string) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, "SELECT repeat('a', 1000)")
	_ = z.Close()
	resp, body := post(t, addr, params(values{"enable_http_compression": "1"}), packed.String(), "Content-Encoding", "gzip", "Accept-Encoding", "gzip")
	if resp.Header.Get("Content-Encoding") != "gzip" || len(body) > 100 {
		t.Fatalf("not compressed: %q", body)
	}
	r, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || len(got) != 1001 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// testReadsPass fills every slot for writing and asks a query meanwhile.
func testReadsPass(t *testing.T, addr string) {
	const slow = "INSERT INTO lines SELECT 100, toString(sleepEachRow(0.5)) FROM numbers(40) SETTINGS max_block_size = 1"
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 4)
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/", strings.NewReader(slow))
			if err != nil {
				return
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		}()
	}
	started := time.Now()
	for range 10 {
		if _, body := post(t, addr, nil, "SELECT 1"); body != "1\n" {
			t.Error(body)
		}
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("ten queries took %v behind slow inserts", took)
	}
	cancel()
	for range 4 {
		<-done
	}
}

// testLongAnswer reads more rows than fit into one block, and one that fails in
// the midst.
func testLongAnswer(t *testing.T, addr string) {
	conn := clickhousetest.Open(t, addr)
	rows, err := conn.Query(context.Background(), "SELECT number, toString(number) FROM numbers(300000)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var n, number uint64
	var text string
	for ; rows.Next(); n++ {
		if err := rows.Scan(&number, &text); err != nil || number != n || text != fmt.Sprint(n) {
			t.Fatalf("row %d: %d %s %v", n, number, text, err)
		}
	}
	if n != 300_000 || rows.Err() != nil {
		t.Errorf("%d rows, %v", n, rows.Err())
	}
	// With several threads the block that fails may be the first to be done.
	broken, err := conn.Query(context.Background(), "SELECT throwIf(number = 250000) FROM numbers(300000) SETTINGS max_threads = 1")
	if err == nil {
		defer broken.Close()
		for broken.Next() {
		}
		err = broken.Err()
	}
	if err == nil || !strings.Contains(err.Error(), "395") {
		t.Errorf("the error in the midst of the answer came as %v", err)
	}
}

func TestRequestSize(t *testing.T) {
	engine := clickhousetest.Supervise(t, clickhouse.Config{Dir: t.TempDir(), MaxRequest: 1 << 20, Access: clickhouse.Access{Password: "se:c/ret"}})
	addr := engine.Addr()
	options, err := chgo.ParseDSN(engine.DSN())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := chgo.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Ping(context.Background()); err != nil {
		t.Errorf("clickhouse-go with the DSN: %v", err)
	}
	ask := func(body string, header ...string) (int, string) {
		resp, text := post(t, addr, nil, body, append(header, "X-ClickHouse-User", "default", "X-ClickHouse-Key", "se:c/ret")...)
		return resp.StatusCode, text
	}
	if code, body := ask("CREATE TABLE t (s String) ENGINE = Memory"); code != 200 {
		t.Fatal(body)
	}
	if code, body := ask("INSERT INTO t FORMAT TSV\n" + strings.Repeat("x", 1<<20)); code != 413 {
		t.Errorf("%d %s", code, body)
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = fmt.Fprintf(z, "INSERT INTO t FORMAT TSV\n%s", strings.Repeat("x", 8<<20))
	_ = z.Close()
	if code, body := ask(bomb.String(), "Content-Encoding", "gzip"); code != 413 {
		t.Errorf("%d %s: a small body that grows must be refused", code, body)
	}
	if code, body := ask("SELECT count() FROM t"); code != 200 || body != "0\n" {
		t.Errorf("%d %s", code, body)
	}
	if resp, body := post(t, addr, nil, "SELECT 1"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("%d %s: no password was given", resp.StatusCode, body)
	}
}
