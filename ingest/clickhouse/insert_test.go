package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	embedded "holdfast/ingest/embedded/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
	"holdfast/schemas"
)

// everything is a table with a column of each kind.
var everything = schemas.Table{Name: "everything", Columns: []schemas.Column{
	{Name: "n", Kind: schemas.ColumnInt64}, {Name: "w", Kind: schemas.ColumnWord}, {Name: "t", Kind: schemas.ColumnText},
	{Name: "i", Kind: schemas.ColumnInt32}, {Name: "f", Kind: schemas.ColumnFloat64}, {Name: "b", Kind: schemas.ColumnBool},
	{Name: "at", Kind: schemas.ColumnTime}, {Name: "ip", Kind: schemas.ColumnIP}, {Name: "ts", Kind: schemas.ColumnTexts}, {Name: "ns", Kind: schemas.ColumnInts},
	{Name: "u", Kind: schemas.ColumnUint32},
}}

func makeEverything(tb testing.TB, c *Client) {
	tb.Helper()
	var columns []string
	for _, col := range everything.Columns {
		columns = append(columns, "`"+col.Name+"` "+col.Type())
	}
	sql := "CREATE TABLE everything (" + strings.Join(columns, ", ") + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100"
	if err := c.Exec(tb.Context(), sql); err != nil {
		tb.Fatal(err)
	}
}

func fillEverything(from, n int) *Block {
	b := NewBlock(everything)
	for i := from; i < from+n; i++ {
		c := b.Columns
		if i%5 == 4 {
			c[0].Int64(int64(i))
			for k := 1; k < len(c); k++ {
				c[k].Zero()
			}
			b.EndRow()
			continue
		}
		c[0].Int64(int64(i))
		c[1].Word([]string{"red", "green", "", "blue"}[i%4])
		c[2].Text(strings.Repeat("é", i%200))
		c[3].Int32(int32(-i))
		c[4].Float64(float64(i) / 4)
		c[5].Bool(i%2 == 0)
		c[6].Time(1772413323000 + int64(i))
		c[7].IP(netip.MustParseAddr([]string{"192.0.2.1", "2001:db8::1"}[i%2]))
		c[8].Texts(make([]string, i%3))
		for k := range i % 4 {
			c[9].Int64(int64(k))
		}
		c[9].EndList()
		c[10].Uint32(math.MaxUint32 - uint32(i))
		b.EndRow()
	}
	return b
}

// sums is a fingerprint of what fillEverything stores.
const sums = `SELECT concat(toString(count()), ' ', toString(sum(n)), ' ', toString(sum(length(w))), ' ', toString(countIf(w = 'blue')), ' ', toString(sum(length(t))), ' ',
	toString(sum(i)), ' ', toString(sum(f)), ' ', toString(sum(b)), ' ', toString(sum(toUnixTimestamp64Milli(at))), ' ', toString(countIf(ip = toIPv6('192.0.2.1'))), ' ', toString(countIf(ip IS NULL)), ' ',
	toString(sum(length(ts))), ' ', toString(sum(arraySum(ns))), ' ', toString(sum(u))) FROM everything`

// Every way to the store must bring the same rows.
func TestInsertWays(t *testing.T) {
	addr := clickhousetest.Start(t)
	ways := map[string]func(c *Client, ctx context.Context, table, token string, b *Block) error{
		"http": (*Client).insertHTTP, "driver": (*Client).insertBatch,
	}
	var want string
	for _, compression := range []Compression{CompressNone, CompressLZ4, CompressZSTD} {
		for name, insert := range ways {
			c := openAt(t, addr, func(cfg *Config) { cfg.Compression = compression })
			makeEverything(t, c)
			for k := range 3 {
				b := fillEverything(k*2000, 2000)
				for range 2 { // the token makes it one
					if err := insert(c, t.Context(), "everything", fmt.Sprint("token ' ", k), b); err != nil {
						t.Fatalf("%s, %s: %v", name, compression, err)
					}
				}
			}
			var got string
			if err := c.QueryRow(t.Context(), sums).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if want == "" {
				want = got
				t.Log(got)
			}
			if got != want || !strings.HasPrefix(got, "6000 ") {
				t.Errorf("%s, %s: %s, want %s", name, compression, got, want)
			}
			if err := c.Exec(t.Context(), "DROP TABLE everything"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A block that was reset must not remember what it held.
func TestBlockForgets(t *testing.T) {
	c := open(t)
	makeEverything(t, c)
	b := fillEverything(0, 100)
	b.Reset()
	if b.Rows() != 0 || c.Insert(t.Context(), "everything", "empty", b) != nil {
		t.Error("an empty block is not nothing")
	}
	b.Columns[0].Int64(7)
	for k := 1; k < len(b.Columns); k++ {
		b.Columns[k].Zero()
	}
	b.EndRow()
	if err := c.Insert(t.Context(), "everything", "one", b); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := c.QueryRow(t.Context(), "SELECT concat(toString(count()), w, t, toString(length(ts)), toString(length(ns))) FROM everything GROUP BY w, t, ts, ns").Scan(&got); err != nil || got != "100" {
		t.Errorf("%q (%v), want one row of nothing", got, err)
	}
}

// An insert at the recorder's limits must be one part, which happens or does not.
func TestLargestInsertIsOnePart(t *testing.T) {
	c := open(t)
	if _, err := Migrate(t.Context(), c, MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(t.Context(), "SYSTEM STOP MERGES events"); err != nil {
		t.Fatal(err)
	}
	table, _ := schemas.TableOf(schemas.TopicEvents)
	b := NewBlock(table)
	for i := range 500_000 {
		for k := range b.Columns {
			switch col := &b.Columns[k]; table.Columns[k].Name {
			case "offset":
				col.Int64(int64(i))
			case "arrival":
				col.Time(1772413323000)
			case "id", "entity":
				col.Text("some-identity-of-forty-bytes-or-thereabouts"[i%8:])
			default:
				col.Zero()
			}
		}
		b.EndRow()
	}
	if err := c.Insert(t.Context(), "events", "token", b); err != nil {
		t.Fatal(err)
	}
	var parts, rows uint64
	if err := c.QueryRow(t.Context(), "SELECT count(), sum(rows) FROM system.parts WHERE table = 'events' AND active").Scan(&parts, &rows); err != nil || parts != 1 || rows != 500_000 {
		t.Errorf("%d rows in %d parts (%v), want 500000 in 1", rows, parts, err)
	}
}

func TestRefusals(t *testing.T) {
	c := open(t)
	makeEverything(t, c)
	b := fillEverything(0, 1)
	if refused, ok := errors.AsType[*Refused](c.Insert(t.Context(), "no_such_table", "t", b)); !ok || refused.Code != 60 {
		t.Errorf("a missing table: %v, want code 60", refused)
	}
	if refused, ok := errors.AsType[*Refused](c.insertBatch(t.Context(), "no_such_table", "t", b)); !ok || refused.Code != 60 {
		t.Errorf("a missing table, by the driver: %v, want code 60", refused)
	}
	// What stands between us and the store does not speak for it.
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	p := openAt(t, proxy.Listener.Addr().String())
	err := p.Insert(t.Context(), "everything", "t", b)
	if _, ok := errors.AsType[*Refused](err); err == nil || ok {
		t.Errorf("a bad gateway: %v, want an unknown outcome", err)
	}
}

// The first address that answers is used, and the one that does not is left.
func TestAddressesInTurn(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := dead.Addr().String()
	_ = dead.Close()
	addr := clickhousetest.Start(t)
	c := openAt(t, addr, func(cfg *Config) { cfg.Addrs = []string{gone, addr} })
	makeEverything(t, c)
	b := fillEverything(0, 10)
	if err := c.Insert(t.Context(), "everything", "t", b); err == nil {
		t.Error("a dead address took the insert")
	}
	if err := c.Insert(t.Context(), "everything", "t", b); err != nil {
		t.Errorf("the second address: %v", err)
	}
}

func TestTLSAndPassword(t *testing.T) {
	s := clickhousetest.Supervise(t, embedded.Config{Dir: t.TempDir(), Access: embedded.Access{User: "keeper", Password: "se'cret"}})
	target, err := url.Parse("http://" + s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	defer front.Close()
	secure := front.Client().Transport.(*http.Transport).TLSClientConfig
	c := openAt(t, front.Listener.Addr().String(), func(cfg *Config) {
		cfg.TLS, cfg.User, cfg.Password = secure, "keeper", "se'cret"
	})
	makeEverything(t, c)
	if err := c.Insert(t.Context(), "everything", "t", fillEverything(0, 10)); err != nil {
		t.Error(err)
	}
	wrong := openAt(t, front.Listener.Addr().String(), func(cfg *Config) { cfg.TLS, cfg.User, cfg.Password = secure, "keeper", "guess" })
	if refused, ok := errors.AsType[*Refused](wrong.Insert(t.Context(), "everything", "t", fillEverything(0, 10))); !ok || refused.Code != 516 {
		t.Errorf("a wrong password: %v, want code 516", refused)
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no address":        {},
		"no port":           {Addrs: []string{"localhost"}},
		"other protocol":    {Addrs: []string{"localhost:1"}, Protocol: "grpc"},
		"other compression": {Addrs: []string{"localhost:1"}, Compression: "gzip"},
	} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
	c, err := Open(Config{Addrs: []string{"ch.example:8123"}})
	if err != nil || c.cfg.Compression != CompressLZ4 || c.cfg.RequestTimeout != 5*time.Minute {
		t.Errorf("%+v (%v)", c.cfg, err)
	}
}
