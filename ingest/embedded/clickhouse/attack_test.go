package clickhouse_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"holdfast/ingest/embedded/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
)

const (
	fullPassword   = "full-se:c/ret&'"
	readerPassword = "reader-se:c/ret&'"
)

// guarded runs an engine with both users, a database that the reader sees and one
// that it does not.
func guarded(t *testing.T) (addr string) {
	t.Helper()
	engine := clickhousetest.Supervise(t, clickhouse.Config{Dir: t.TempDir(), Access: clickhouse.Access{Password: fullPassword, ReaderPassword: readerPassword}})
	for _, sql := range []string{
		"CREATE DATABASE holdfast", "CREATE DATABASE private", "CREATE TABLE holdfast.t (n UInt64, s String) ENGINE = MergeTree ORDER BY n",
		"CREATE TABLE private.p (s String) ENGINE = MergeTree ORDER BY s", "INSERT INTO holdfast.t VALUES (1, 'one')", "INSERT INTO private.p VALUES ('hidden')",
		"CREATE VIEW holdfast.v AS SELECT n FROM holdfast.t", "CREATE TABLE holdfast.u (n UInt64) ENGINE = MergeTree ORDER BY n",
	} {
		if code, body := askAs(t, engine.Addr(), "default", fullPassword, nil, sql); code != 200 {
			t.Fatalf("%s: %d %s", sql, code, body)
		}
	}
	return engine.Addr()
}

func askAs(t *testing.T, addr, user, password string, params url.Values, sql string) (int, string) {
	t.Helper()
	resp, body := post(t, addr, params, sql, "X-ClickHouse-User", user, "X-ClickHouse-Key", password)
	return resp.StatusCode, body
}

// TestAttack tries what another user of the machine, or a dashboard that was broken
// into, would try.
func TestAttack(t *testing.T) {
	addr := guarded(t)
	t.Run("login", func(t *testing.T) { testLogin(t, addr) })
	t.Run("outside", func(t *testing.T) { testOutside(t, addr) })
	t.Run("reader", func(t *testing.T) { testReader(t, addr) })
	t.Run("get", func(t *testing.T) { testGetReads(t, addr) })
	t.Run("nobody", func(t *testing.T) { testNobody(t, addr) })
}

// testLogin gives no password, a wrong one, and the right one in each way that
// clients have.
func testLogin(t *testing.T, addr string) {
	basic := func(user, password string) []string {
		return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
	}
	query := func(user, password string) url.Values { return url.Values{"user": {user}, "password": {password}} }
	for _, tt := range []struct {
		name   string
		params url.Values
		header []string
		status int
	}{
		{"nothing", nil, nil, 403},
		{"the user alone", nil, []string{"X-ClickHouse-User", "default"}, 403},
		{"a wrong password", nil, []string{"X-ClickHouse-User", "default", "X-ClickHouse-Key", fullPassword + "x"}, 403},
		{"the reader's password", nil, []string{"X-ClickHouse-User", "default", "X-ClickHouse-Key", readerPassword}, 403},
		{"another's name", nil, []string{"X-ClickHouse-User", "admin", "X-ClickHouse-Key", fullPassword}, 403},
		{"an empty reader", nil, []string{"X-ClickHouse-User", "reader"}, 403},
		{"wrong parameters", query("default", "x"), nil, 403},
		{"a wrong basic", nil, basic("default", "x"), 403},
		{"headers", nil, []string{"X-ClickHouse-User", "default", "X-ClickHouse-Key", fullPassword}, 200},
		{"the reader's headers", nil, []string{"X-ClickHouse-User", "reader", "X-ClickHouse-Key", readerPassword}, 200},
		{"parameters", query("default", fullPassword), nil, 200},
		{"the reader's parameters", query("reader", readerPassword), nil, 200},
		{"basic", nil, basic("default", fullPassword), 200},
		{"the reader's basic", nil, basic("reader", readerPassword), 200},
		{"a null origin", nil, append(basic("default", fullPassword), "Origin", "null"), 403},
		{"a page of another port", nil, append(basic("default", fullPassword), "Origin", "http://127.0.0.1:1"), 403},
	} {
		resp, body := post(t, addr, tt.params, "SELECT 1", tt.header...)
		if resp.StatusCode != tt.status || tt.status == 403 && !strings.HasPrefix(body, "Code: 516.") {
			t.Errorf("%s: %d %s", tt.name, resp.StatusCode, body)
		}
	}
	for user, password := range map[string]string{"default": fullPassword, "reader": readerPassword} {
		conn, err := chgo.Open(&chgo.Options{Addr: []string{addr}, Protocol: chgo.HTTP, Auth: chgo.Auth{Username: user, Password: password}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var n uint64
		if err := conn.QueryRow(t.Context(), "SELECT n FROM holdfast.t WHERE n = ?", 1).Scan(&n); err != nil || n != 1 {
			t.Errorf("clickhouse-go as %s: %d, %v", user, n, err)
		}
	}
}

// testOutside tries to reach files, programs and servers, as either user. SECRET
// stands for a file of this user, OUT for one that is to be written.
func testOutside(t *testing.T, addr string) {
	dir := t.TempDir()
	secret, out := filepath.Join(dir, "secret"), filepath.Join(dir, "out")
	const content = "hidden-in-a-file"
	if err := os.WriteFile(secret, []byte(content+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"SELECT * FROM file('SECRET', 'LineAsString')",
		"SELECT * FROM FILE('SECRET', LineAsString, 's String')",
		"SELECT file('SECRET')",
		"SELECT/**/`file`/* */('SECRET')",
		"SELECT \"file\" -- \n ('SECRET')",
		"SELECT * APPLY(file) FROM (SELECT 'SECRET' AS x)",
		"SELECT * APPLY file FROM (SELECT 'SECRET' AS x)",
		"SELECT COLUMNS('x') APPLY(y -> file(y)) FROM (SELECT 'SECRET' AS x)",
		"SELECT arrayMap(x -> file(x), ['SECRET'])",
		"WITH x -> file(x) AS f SELECT f('SECRET')",
		"SELECT 1 WHERE file('SECRET') = ''",
		"SELECT (SELECT (SELECT * FROM file('SECRET', 'LineAsString')))",
		"SELECT * FROM view(SELECT * FROM file('SECRET', 'LineAsString'))",
		"SELECT * FROM loop(file('SECRET', 'LineAsString')) LIMIT 1",
		"SELECT * FROM merge(view(SELECT * FROM file('SECRET', 'LineAsString')))",
		"SELECT * FROM `SECRET`", "SELECT * FROM 'SECRET'", "SELECT * FROM default.`SECRET`", "DESCRIBE TABLE `SECRET`",
		"SELECT * FROM filesystem('DIR')", "SELECT * FROM icebergLocal('DIR')", "SELECT * FROM deltaLakeLocal('DIR')", "SELECT * FROM sqlite('SECRET', 't')",
		"SELECT * FROM fileCluster('c', 'SECRET', 'LineAsString')",
		"DESC file('SECRET', 'LineAsString')", "DESCRIBE TABLE file('SECRET', 'LineAsString')", "EXPLAIN SELECT * FROM file('SECRET', 'LineAsString')",
		"EXPLAIN PLAN SELECT file('SECRET')", "EXPLAIN ESTIMATE SELECT * FROM file('SECRET', 'LineAsString')",
		"CREATE VIEW holdfast.a AS SELECT * FROM file('SECRET', 'LineAsString')", "CREATE VIEW holdfast.b AS SELECT file({f:String}) AS x",
		"CREATE MATERIALIZED VIEW holdfast.c ENGINE = Memory AS SELECT file('SECRET') AS x FROM holdfast.t",
		"CREATE TABLE holdfast.d AS file('SECRET', 'LineAsString')", "CREATE TABLE holdfast.e ENGINE = Memory AS SELECT * FROM file('SECRET', 'LineAsString')",
		"CREATE TABLE holdfast.f (x String) ENGINE = File(TSV, 'SECRET')", "CREATE TABLE holdfast.g (x String) ENGINE=`File`(TSV, 'SECRET')",
		"CREATE TABLE holdfast.h (x String DEFAULT file('SECRET')) ENGINE = Memory", "CREATE TABLE holdfast.i (x String) ENGINE = FileLog('DIR', 'TSV')",
		"CREATE TABLE holdfast.j (k String) ENGINE = EmbeddedRocksDB(0, 'DIR/rocks') PRIMARY KEY k", "CREATE TABLE holdfast.k (x String) ENGINE = Executable('cat', 'TSV')",
		"CREATE TABLE holdfast.l (x String) ENGINE = URL('http://127.0.0.1:1/', 'TSV')", "CREATE TABLE holdfast.m (x String) ENGINE = Distributed('default', 'system', 'one')",
		"CREATE TABLE holdfast.n (x Int8) ENGINE = MergeTree ORDER BY x SETTINGS disk = disk(type = local, path = 'DIR/')",
		"CREATE TEMPORARY TABLE o AS SELECT * FROM file('SECRET', 'LineAsString')", "CREATE OR REPLACE TABLE holdfast.t (x String) ENGINE = File(TSV, 'SECRET')",
		"ALTER TABLE holdfast.t ADD COLUMN x String DEFAULT file('SECRET')", "ALTER TABLE holdfast.t UPDATE s = file('SECRET') WHERE 1",
		"ATTACH TABLE holdfast.q FROM 'DIR' (x String) ENGINE = File(TSV)",
		"CREATE DATABASE r ENGINE = Filesystem('DIR')", "CREATE DATABASE s ENGINE = SQLite('SECRET')", "CREATE DATABASE u ENGINE = MySQL('127.0.0.1:1', 'a', 'b', 'c')",
		"CREATE DICTIONARY holdfast.w (k UInt64, v String) PRIMARY KEY k SOURCE(FILE(path 'SECRET' format 'TSV')) LAYOUT(FLAT()) LIFETIME(0)",
		"CREATE FUNCTION f1 AS x -> file(x)", "CREATE NAMED COLLECTION nc AS url = 'http://127.0.0.1:1/'",
		"CREATE USER eve IDENTIFIED BY 'x'", "GRANT ALL ON *.* TO default", "SET ROLE ALL", "EXECUTE AS default SELECT 1",
		"BACKUP TABLE holdfast.t TO File('OUT')", "RESTORE TABLE holdfast.t FROM File('OUT')", "SYSTEM SHUTDOWN", "SYSTEM RELOAD CONFIG", "SYSTEM FLUSH LOGS",
		"INSERT INTO holdfast.t SELECT 1, file('SECRET')", "INSERT INTO FUNCTION file('OUT', 'TSV', 'x Int8') VALUES (1)", "INSERT INTO TABLE FUNCTION file('OUT', 'TSV', 'x Int8') SELECT 1",
		"INSERT INTO FUNCTION url('http://127.0.0.1:1/', 'TSV', 'x Int8') VALUES (1)", "INSERT INTO FUNCTION file('OUT', 'TSV', 'x Int8') FORMAT TSV\n1\n",
		"INSERT INTO holdfast.t (s) FROM INFILE 'SECRET' FORMAT LineAsString", "INSERT INTO holdfast.t (s) FROM/**/INFILE 'SECRET' COMPRESSION 'none' FORMAT LineAsString",
		"INSERT INTO holdfast.t (s) from infile $$SECRET$$ FORMAT LineAsString\nx\n", "INSERT INTO holdfast.t (s) /* ' */ FROM INFILE 'SECRET' -- '\n FORMAT LineAsString\nx\n",
		"INSERT INTO holdfast.t (s) SETTINGS async_insert = 0 FROM INFILE 'SECRET' FORMAT LineAsString",
		"SELECT 1 INTO OUTFILE 'OUT'", "SELECT 1 into/**/outfile 'OUT' APPEND", "(SELECT 1) UNION ALL (SELECT 2) INTO OUTFILE 'OUT'", "SELECT 1 INTO OUTFILE $$OUT$$ TRUNCATE AND STDOUT", "SHOW TABLES INTO OUTFILE 'OUT'",
		"SELECT 1 AS x FORMAT Template SETTINGS format_template_row = 'SECRET'", "SELECT 1 AS x SETTINGS format_template_row = 'SECRET' FORMAT Template",
		"SELECT 1 AS x SETTINGS format_schema = 'SECRET:X' FORMAT Protobuf", "INSERT INTO holdfast.t SETTINGS format_schema = 'SECRET:X' FORMAT Protobuf\nx",
		"SET dialect = 'kusto'", "SELECT 1 SETTINGS dialect = 'kusto'",
		"SELECT * FROM url('http://127.0.0.1:1/', 'TSV', 'x String')", "SELECT * FROM UrL('file://SECRET', 'TSV', 'x String')", "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'TSV', 'x String')",
		"SELECT * FROM remote('127.0.0.1:1', 'system', 'one')", "SELECT * FROM cluster('default', 'system', 'one')", "SELECT * FROM executable('cat', 'TSV', 'x String')",
		"SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')", "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')", "SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'x Int8')",
		"SELECT * FROM redis('127.0.0.1:1', 'k', 'k String')", "SELECT * FROM jdbc('a', 'b')", "SELECT * FROM odbc('a', 'b', 'c')", "SELECT * FROM hdfs('hdfs://127.0.0.1:1/x', 'TSV', 'x String')",
		"SELECT * FROM azureBlobStorage('http://127.0.0.1:1/', 'c', 'b', 'TSV')", "SELECT * FROM gcs('http://127.0.0.1:1/b/k', 'TSV', 'x String')", "SELECT * FROM iceberg('http://127.0.0.1:1/b/')",
		"SELECT * FROM hudi('http://127.0.0.1:1/b/')", "SELECT * FROM deltaLake('http://127.0.0.1:1/b/')", "SELECT * FROM input('x String')", "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT * FROM file('SECRET', 'LineAsString')))",
		"SELECT catboostEvaluate('SECRET', 1)", "SELECT filesystemAvailable()", "SELECT aiGenerate('a', 'b')",
		"SELECT 1; SELECT file('SECRET')", "SELECT 1 /*;*/; SELECT * FROM file('SECRET', 'LineAsString')", "SELECT $$;$$; SELECT file('SECRET')", "SELECT ';' -- \n; SELECT file('SECRET')",
		"INSERT INTO holdfast.t VALUES (7, file('SECRET'))", "INSERT INTO holdfast.t FORMAT Values (7, 'x'), (8, file('SECRET')), (9, file('SECRET'))",
		"INSERT INTO holdfast.t SETTINGS input_format_values_interpret_expressions = 1 VALUES (7, file('SECRET'))",
		"CREATE TABLE holdfast.x1 (x Int8) ENGINE = Memory PARALLEL WITH CREATE TABLE holdfast.x2 (x String) ENGINE = File(TSV, 'SECRET')",
	} {
		sql = strings.NewReplacer("SECRET", secret, "OUT", out, "DIR", dir).Replace(sql)
		for user, password := range map[string]string{"default": fullPassword, "reader": readerPassword} {
			code, body := askAs(t, addr, user, password, nil, sql)
			if code == 200 && !(user == "default" && sql == "SET ROLE ALL") || strings.Contains(body, content) {
				t.Errorf("%s as %s: %d %s", sql, user, code, body)
			}
		}
	}
	// What stands behind the rows of VALUES is no statement: it is not carried out.
	for _, sql := range []string{"INSERT INTO holdfast.u VALUES (7); SELECT file('SECRET')", "INSERT INTO holdfast.u (n) /* VALUES */ VALUES (7) ; SELECT 1 INTO OUTFILE 'OUT'"} {
		if code, body := askAs(t, addr, "default", fullPassword, nil, strings.NewReplacer("SECRET", secret, "OUT", out).Replace(sql)); code == 200 && body != "" {
			t.Errorf("%s: %d %s", sql, code, body)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
	for _, name := range []string{"dialect", "format_template_row", "format_schema"} {
		if code, body := askAs(t, addr, "default", fullPassword, url.Values{name: {secret}}, "SELECT 1"); code == 200 {
			t.Errorf("the setting %s in the URL: %d %s", name, code, body)
		}
	}
	if code, body := askAs(t, addr, "default", fullPassword, url.Values{"param_t": {secret}}, "SELECT * FROM {t:Identifier}"); code == 200 || strings.Contains(body, content) {
		t.Errorf("a file's name as a parameter: %d %s", code, body)
	}
	if code, body := askAs(t, addr, "default", fullPassword, nil, "SELECT count() FROM holdfast.t"); code != 200 || body != "1\n" {
		t.Errorf("the table holds %s (%d), not one row", body, code)
	}
}

// testReader checks that the read-only user reads one database, changes nothing and
// lifts no limit.
func testReader(t *testing.T, addr string) {
	ask := func(params url.Values, sql string) (int, string) {
		return askAs(t, addr, "reader", readerPassword, params, sql)
	}
	for sql, want := range map[string]string{
		"SELECT n, s FROM holdfast.t": "1\tone\n", "SELECT n FROM holdfast.v": "1\n", "SHOW TABLES FROM holdfast": "t\nu\nv\n",
		"SELECT name FROM system.tables WHERE database IN ('holdfast', 'private') ORDER BY name": "t\nu\nv\n", "WITH 2 AS x SELECT x": "2\n",
		"SELECT getSetting('readonly'), getSetting('max_execution_time')": "1\t30\n", "SELECT name FROM system.columns WHERE database = 'holdfast' AND table = 't'": "n\ns\n",
	} {
		if code, body := ask(nil, sql); code != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", sql, code, body, want)
		}
	}
	for _, sql := range []string{
		"SELECT * FROM private.p", "SELECT * FROM merge('private', 'p')", "SHOW TABLES FROM nowhere", "INSERT INTO holdfast.t VALUES (2, 'two')", "INSERT INTO holdfast.t FORMAT TSV\n2\ttwo\n",
		"DROP TABLE holdfast.t", "TRUNCATE TABLE holdfast.t", "CREATE TABLE holdfast.z (x Int8) ENGINE = Memory", "CREATE TEMPORARY TABLE z (x Int8)", "ALTER TABLE holdfast.t DELETE WHERE 1",
		"OPTIMIZE TABLE holdfast.t", "KILL QUERY WHERE 1", "SET readonly = 0", "SET ROLE holdfast_full", "SET max_memory_usage = 0", "USE private", "SYSTEM STOP MERGES",
		"SELECT 1 SETTINGS max_memory_usage = 0", "SELECT 1 SETTINGS readonly = 0", "SELECT number FROM numbers(10000000) FORMAT JSON", "SELECT length(groupArray(number)) FROM numbers(300000000)",
	} {
		if code, body := ask(nil, sql); code == 200 {
			t.Errorf("%s: %d %s", sql, code, body)
		}
	}
	for name, values := range map[string][2]string{
		"max_execution_time": {"3600", "30\n"}, "readonly": {"0", "1\n"}, "max_threads": {"64", "2\n"}, "max_result_rows": {"0", "1000000\n"},
	} {
		if code, body := ask(url.Values{name: {values[0]}}, "SELECT getSetting('"+name+"')"); code != 200 || body != values[1] {
			t.Errorf("%s = %s in the URL became %s (%d)", name, values[0], body, code)
		}
	}
	if code, body := ask(url.Values{"max_execution_time": {"1"}}, "SELECT sum(cityHash64(number)) FROM numbers(1000000000000)"); code != 408 {
		t.Errorf("a long query: %d %s", code, body)
	}
	if code, _ := ask(nil, "SELECT '"+strings.Repeat("x", 1<<20)+"'"); code != 413 {
		t.Errorf("a long statement: %d", code)
	}
}

// testGetReads sends by GET what changes something.
func testGetReads(t *testing.T, addr string) {
	for sql, status := range map[string]int{
		"SELECT count() FROM holdfast.t": 200, "INSERT INTO holdfast.t VALUES (9, 'nine')": 400, "CREATE TABLE holdfast.z (x Int8) ENGINE = Memory": 400,
		"SET readonly = 0": 400, "SELECT 1 SETTINGS readonly = 0": 400, "DROP TABLE holdfast.t": 400, "INSERT INTO holdfast.t FORMAT TSV 9\tnine": 400,
	} {
		address := fmt.Sprintf("http://%s/?%s", addr, url.Values{"query": {sql}, "user": {"default"}, "password": {fullPassword}, "readonly": {"0"}}.Encode())
		if code, body := get(t, address); code != status {
			t.Errorf("GET %s: %d %s", sql, code, body)
		}
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+addr+"/?user=default&password="+url.QueryEscape(fullPassword)+"&query=INSERT+INTO+holdfast.t+FORMAT+TSV", strings.NewReader("9\tnine\n"))
	if err != nil {
		t.Fatal(err)
	}
	if resp, body := do(t, req); resp.StatusCode == http.StatusOK {
		t.Errorf("GET with a body: %s", body)
	}
	if code, body := askAs(t, addr, "default", fullPassword, nil, "SELECT count() FROM holdfast.t"); code != 200 || body != "1\n" {
		t.Errorf("the table holds %s (%d), not one row", body, code)
	}
}

// testNobody has the user nobody ask the engine of root for a file of root's, and
// for a row. On 76a1c02 it was given both.
func testNobody(t *testing.T, addr string) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user: run this test as root")
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("root's alone\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"SELECT * FROM file('" + secret + "', 'LineAsString')", "SELECT file('" + secret + "')", "SELECT s FROM holdfast.t"} {
		cmd := exec.CommandContext(t.Context(), curl, "-sS", "--data-binary", sql, "http://"+addr+"/")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
		answer, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(answer), "Code: 516.") {
			t.Errorf("nobody asked %s: %s %v", sql, answer, err)
		}
	}
}
