package history

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
	"holdfast/schemas"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

// open returns a History on an engine of the test's own, with the tables made.
func open(tb testing.TB) (*History, *clickhouse.Client) {
	tb.Helper()
	c, err := clickhouse.Open(clickhouse.Config{Addrs: []string{clickhousetest.Start(tb)}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if _, err := clickhouse.Migrate(tb.Context(), c, clickhouse.MigrateOptions{}); err != nil {
		tb.Fatal(err)
	}
	return New(c), c
}

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// insertEvents stores events as the recorder would: position first, then the event.
func insertEvents(tb testing.TB, c *clickhouse.Client, partition int32, from int64, events ...schemas.Event) {
	tb.Helper()
	insertArriving(tb, c, partition, from, func(e *schemas.Event) int64 { return e.Time + 1000 }, events...)
}

func insertArriving(tb testing.TB, c *clickhouse.Client, partition int32, from int64, arrival func(*schemas.Event) int64, events ...schemas.Event) {
	tb.Helper()
	t, _ := schemas.TableOf(schemas.TopicEvents)
	b := clickhouse.NewBlock(t)
	for i := range events {
		e := &events[i]
		b.Columns[0].Word("log")
		b.Columns[1].Word("events")
		b.Columns[2].Int32(partition)
		b.Columns[3].Int64(from + int64(i))
		b.Columns[4].Time(arrival(e))
		b.Columns[5].Text(e.Entity().Key())
		b.Columns[6].Word("test")
		b.Columns[7].Word("live")
		for k, col := range schemas.EventColumns() {
			put(&b.Columns[8+k], col, e)
		}
		last := len(b.Columns) - 2
		for k := last - len(schemas.NetworkColumns()); k < last; k++ {
			b.Columns[k].Zero()
		}
		b.Columns[last].Word(trustOf(e))
		b.Columns[last+1].Text(ownNAT64(e.IP))
		b.EndRow()
	}
	if err := c.Insert(tb.Context(), t.Name, "", b); err != nil {
		tb.Fatal(err)
	}
}

// ownNAT64 is what intake finds where the tests' gateway has the prefix 2001:db8:64::/96.
func ownNAT64(a netip.Addr) string {
	four, ok := schemas.NAT64{netip.MustParsePrefix("2001:db8:64::/96")}.Within(a)
	if !ok {
		return ""
	}
	return four.String()
}

// trustOf is how much an event of the tests is trusted: those that were forged less.
func trustOf(e *schemas.Event) string {
	if e.Resource == "forged" {
		return string(schemas.TrustEvidence)
	}
	return ""
}

func put(to *clickhouse.Column, c schemas.EventColumn, e *schemas.Event) {
	switch {
	case c.Kind == schemas.ColumnWord:
		to.Word(*c.Str(e))
	case c.Str != nil:
		to.Text(*c.Str(e))
	case c.Kind == schemas.ColumnTime:
		to.Time(*c.Num(e))
	case c.Num != nil:
		to.Int64(*c.Num(e))
	case c.Flag != nil:
		to.Bool(*c.Flag(e))
	case c.Addr != nil:
		to.IP(*c.Addr(e))
	case c.List != nil:
		to.Texts(*c.List(e))
	case c.Raw != nil:
		to.Bytes(*c.Raw(e))
	case c.Part != nil && c.Part.Str != nil:
		list := make([]string, c.Part.Len(e))
		for i := range list {
			list[i] = *c.Part.Str(e, i)
		}
		to.Texts(list)
	default:
		to.EndList()
	}
}

func insertFinding(tb testing.TB, c *clickhouse.Client, topic schemas.Topic, kind schemas.Kind, offset int64, at time.Time, id, entity, account, body string) {
	tb.Helper()
	insertFound(tb, c, topic, kind, offset, at, at, id, entity, account, body)
}

func insertFound(tb testing.TB, c *clickhouse.Client, topic schemas.Topic, kind schemas.Kind, offset int64, at, arrival time.Time, id, entity, account, body string) {
	tb.Helper()
	t, _ := schemas.TableOf(topic)
	b := clickhouse.NewBlock(t)
	for i := range b.Columns {
		col := &b.Columns[i]
		switch t.Columns[i].Name {
		case "log_id":
			col.Word("log")
		case "topic":
			col.Word(string(topic))
		case "offset":
			col.Int64(offset)
		case "arrival":
			col.Time(arrival.UnixMilli())
		case "time":
			col.Time(at.UnixMilli())
		case "kind":
			col.Word(string(kind))
		case "id":
			col.Text(id)
		case "entity":
			col.Text(entity)
		case "account":
			col.Text(account)
		case "body":
			col.Text(body)
		default:
			col.Zero()
		}
	}
	b.EndRow()
	if err := c.Insert(tb.Context(), t.Name, "", b); err != nil {
		tb.Fatal(err)
	}
}

func at(second int) int64 { return start.Add(time.Duration(second) * time.Second).UnixMilli() }

func TestTimeline(t *testing.T) {
	h, c := open(t)
	ip := netip.MustParseAddr("192.0.2.7")
	six := netip.MustParseAddr("2001:db8::7")
	insertEvents(t, c, 0, 0,
		schemas.Event{ID: "e1", Type: schemas.TypeSend, Time: at(1), Account: "a1", IP: ip, Recipients: []string{"x@y.example", "z@y.example"}},
		schemas.Event{ID: "e2", Type: schemas.TypeSend, Time: at(5), Account: "a1", IP: six},
		schemas.Event{ID: "e3", Type: schemas.TypeSend, Time: at(6), Account: "a2", IP: ip},
	)
	insertEvents(t, c, 1, 0,
		schemas.Event{ID: "e4", Type: schemas.TypeAccess, Time: at(2), Employee: "m1", Action: "view_secret", Account: "a1"},
		schemas.Event{ID: "e5", Type: schemas.TypeAccess, Time: at(3), Employee: "m1", Action: "list", Accounts: []string{"a2", "a1"}},
		schemas.Event{ID: "e6", Type: schemas.TypeConnection, Time: at(4), IP: ip, State: "open"},
		schemas.Event{ID: "e7", Type: schemas.TypeCredential, Time: at(7), Account: "a3", Employee: "m1", Credential: "k", Kind: "api_key", Change: "created"},
		schemas.Event{ID: "e1", Type: schemas.TypeSend, Time: at(1), Account: "a1", IP: ip, Recipients: []string{"x@y.example", "z@y.example"}},
	)
	// The position of e1 once more, as a token that was forgotten leaves it.
	insertEvents(t, c, 0, 0, schemas.Event{ID: "e1", Type: schemas.TypeSend, Time: at(1), Account: "a1", IP: ip, Recipients: []string{"x@y.example", "z@y.example"}})
	sec := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	insertFinding(t, c, schemas.TopicInbox, schemas.KindSignal, 0, sec(8), "s1", "account:a1", "a1", `{"n":1}`)
	insertFinding(t, c, schemas.TopicInbox, schemas.KindSignal, 1, sec(8), "s1", "account:a1", "a1", `{"n":2}`)
	insertFinding(t, c, schemas.TopicInbox, schemas.KindEvent, 2, sec(8), "e9", "account:a1", "a1", `{}`)
	insertFinding(t, c, schemas.TopicInbox, schemas.KindSignal, 3, sec(9), "s2", "employee:m1", "a1", `{}`)
	insertFinding(t, c, schemas.TopicDecisions, schemas.KindDecision, 0, sec(10), "d1", "account:a1", "a1", `{}`)
	insertFinding(t, c, schemas.TopicActions, schemas.KindAction, 0, sec(11), "x1", "account:a1", "a1", `{"outcome":"failed"}`)
	insertFinding(t, c, schemas.TopicActions, schemas.KindAction, 1, sec(12), "x1", "account:a1", "a1", `{"outcome":"done"}`)
	insertFinding(t, c, schemas.TopicNotices, schemas.KindNotice, 0, sec(13), "n1", "account:a1", "a1", `{}`)
	insertFinding(t, c, schemas.TopicCases, schemas.KindCase, 0, sec(14), "c1", "account:a1", "a1", `{"state":"open"}`)
	insertFinding(t, c, schemas.TopicCases, schemas.KindCase, 1, sec(15), "c1", "account:a1", "a1", `{"state":"closed"}`)
	insertFinding(t, c, schemas.TopicOperator, schemas.KindOperator, 0, sec(16), "o1", "account:a1", "a1", `{}`)
	insertFinding(t, c, schemas.TopicCases, schemas.KindCase, 2, sec(17), "c2", "account:a4", "a4", `{}`)
	insertFinding(t, c, schemas.TopicDecisions, schemas.KindDecision, 1, sec(17), "d2", "account:a4", "a4", `{}`)
	insertFinding(t, c, schemas.TopicInbox, schemas.KindSignal, 4, sec(17), "s3", "account:a4", "a4", `{}`)

	for _, tc := range []struct {
		entity string
		since  time.Time
		limit  int
		want   []string
	}{
		{"account:a1", time.Time{}, 0, []string{"e1", "e4", "e5", "e2", "s1", "s2", "d1", "x1", "x1", "n1", "c1", "c1", "o1"}},
		{"account:a1", sec(5), 0, []string{"e2", "s1", "s2", "d1", "x1", "x1", "n1", "c1", "c1", "o1"}},
		{"account:a1", time.Time{}, 3, []string{"c1", "c1", "o1"}},
		{"account:a2", time.Time{}, 0, []string{"e5", "e3"}},
		{"account:a4", time.Time{}, 0, []string{"s3", "d2", "c2"}}, // the cause first
		{"account:a4", time.Time{}, 2, []string{"d2", "c2"}},
		{"account:nobody", time.Time{}, 0, nil},
		{"employee:m1", time.Time{}, 0, []string{"e4", "e5", "e7", "s2"}},
		{"ip:192.0.2.7", time.Time{}, 0, []string{"e1", "e6", "e3"}},
		{"ip:2001:db8::/64", time.Time{}, 0, []string{"e2"}},
		{"ip:192.0.2.0/24", time.Time{}, 0, []string{"e1", "e6", "e3"}},
	} {
		entity, err := schemas.ParseEntity(tc.entity)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for e, err := range h.Timeline(t.Context(), entity, tc.since, tc.limit) {
			if err != nil {
				t.Fatalf("%s: %v", tc.entity, err)
			}
			got = append(got, e.ID)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s since %s, at most %d: %v, want %v", tc.entity, tc.since, tc.limit, got, tc.want)
		}
	}

	for e, err := range h.Timeline(t.Context(), schemas.Entity{Kind: schemas.KindAccount, ID: "a1"}, time.Time{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		want := &schemas.Event{ID: "e1", Type: schemas.TypeSend, Time: at(1), Account: "a1", IP: ip, Recipients: []string{"x@y.example", "z@y.example"}}
		if diff := cmp.Diff(want, e.Event, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("the first event differs:\n%s", diff)
		}
		break // and the rest is not wanted
	}
	for e, err := range h.WithoutEvents().Timeline(t.Context(), schemas.Entity{Kind: schemas.KindAccount, ID: "a1"}, time.Time{}, 0) {
		if err != nil || e.Event != nil {
			t.Errorf("without events: %v, %v", e, err)
		}
	}
}

func TestTimelineTellsOfErrors(t *testing.T) {
	h, c := open(t)
	if err := c.Exec(t.Context(), "DROP TABLE cases"); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{0, 5} {
		var failed error
		for _, err := range h.Timeline(t.Context(), schemas.Entity{Kind: schemas.KindAccount, ID: "a"}, time.Time{}, limit) {
			failed = err
		}
		if failed == nil {
			t.Errorf("limit %d: a missing table went unnoticed", limit)
		}
	}
}

func TestEventsInLogOrder(t *testing.T) {
	h, c := open(t)
	var all []schemas.Event
	for i := range 1000 {
		all = append(all, schemas.Event{ID: fmt.Sprint("e", i), Type: schemas.TypeSend, Time: at(i * 37 % 1000), Account: fmt.Sprint("a", i%7), Extra: []byte(`{"n":1}`)})
		if i%10 == 0 {
			all[i].Resource = "forged"
		}
	}
	insertEvents(t, c, 1, 500, all[500:]...)
	insertEvents(t, c, 0, 0, all[:500]...)
	insertEvents(t, c, 0, 0, all[:500]...)
	n := 0
	for r, err := range h.Events(t.Context(), start, start.Add(time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint("e", n); r.Event.ID != want || r.Offset != int64(n) || !bytes.Equal(r.Event.Extra, []byte(`{"n":1}`)) {
			t.Fatalf("%d: event %s at offset %d, want %s", n, r.Event.ID, r.Offset, want)
		}
		if (r.Trust == schemas.TrustEvidence) != (n%10 == 0) {
			t.Fatalf("%d: trust %q", n, r.Trust)
		}
		n++
	}
	if n != len(all) {
		t.Errorf("%d events, want %d", n, len(all))
	}
	counts, err := h.Counts(t.Context())
	if err != nil || counts[0].Table != "events" || counts[0].Positions != 1000 || counts[0].Rows < 1000 {
		t.Errorf("counts %+v (%v), want 1000 positions", counts, err)
	}
	newest, err := h.Newest(t.Context())
	if err != nil || !newest[schemas.TopicEvents].Equal(start.Add(1000*time.Second)) || !newest[schemas.TopicGaps].IsZero() {
		t.Errorf("newest %v (%v)", newest, err)
	}
	// Leaving early must not read the rest, nor break the next question.
	for range h.Events(t.Context(), start, start.Add(time.Hour)) {
		break
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := h.Counts(ctx); err != nil {
		t.Error(err)
	}
}

// A back-test reads what happened in a stretch of time, in either order, cut into
// slices or not.
func TestHappened(t *testing.T) {
	h, c := open(t)
	e := func(id string, second int) schemas.Event {
		return schemas.Event{ID: id, Type: schemas.TypeSend, Time: at(second), Account: "a1"}
	}
	backwards := func(e *schemas.Event) int64 { return 2*start.UnixMilli() + 1e9 - e.Time }
	insertArriving(t, c, 0, 0, backwards, e("e5", 5), e("e4", 4), e("e1", 1))
	insertArriving(t, c, 1, 0, backwards, e("e9", 200_000), e("e3", 3), e("e2", 2), e("e10", 500_000))
	insertArriving(t, c, 0, 1, backwards, e("e4", 4)) // a position once more
	for order, want := range map[Order][]string{ByTime: {"e2", "e3", "e4", "e5", "e9"}, ByArrival: {"e9", "e5", "e4", "e3", "e2"}} {
		var got []string
		for r, err := range h.Happened(t.Context(), start.Add(2*time.Second), start.Add(96*time.Hour), order) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Event.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %s: events %v, want %v", order, got, want)
		}
	}
	for range h.Happened(t.Context(), start.Add(2*time.Hour), start.Add(3*time.Hour), ByTime) {
		t.Error("an hour without events has one")
	}
}

func TestFindingsOfAStretch(t *testing.T) {
	h, c := open(t)
	body := func(id string) string {
		return `{"id":"` + id + `","time":"2026-03-02T00:00:00Z","act":"confirm","policy":"p"}`
	}
	insertFinding(t, c, schemas.TopicDecisions, schemas.KindDecision, 0, start, "d0", "account:a1", "a1", body("d0"))
	insertFinding(t, c, schemas.TopicDecisions, schemas.KindDecision, 2, start.Add(time.Minute), "d2", "account:a1", "a1", body("d2"))
	insertFinding(t, c, schemas.TopicDecisions, schemas.KindDecision, 1, start.Add(time.Minute), "d1", "account:a1", "a1", body("d1"))
	insertFinding(t, c, schemas.TopicDecisions, schemas.KindDecision, 3, start.Add(time.Minute), "d1", "account:a1", "a1", body("d1"))
	insertFinding(t, c, schemas.TopicInbox, schemas.KindRequest, 0, start.Add(time.Minute), "r1", "account:a1", "a1", body("r1"))
	insertFinding(t, c, schemas.TopicInbox, schemas.KindSignal, 1, start.Add(time.Minute), "s1", "account:a1", "a1", body("s1"))
	insertFinding(t, c, schemas.TopicOperator, schemas.KindOperator, 0, start.Add(time.Minute), "o1", "account:a1", "a1", body("o1"))
	from, to := start.Add(time.Second), start.Add(time.Hour)
	ds, err := h.Decided(t.Context(), from, to)
	if err != nil || len(ds) != 2 || ds[0].ID != "d1" || ds[1].ID != "d2" || ds[0].Policy != "p" {
		t.Errorf("decisions %+v (%v), want d1 and d2", ds, err)
	}
	asked, err := h.Requests(t.Context(), from, to)
	if err != nil || len(asked) != 1 || asked[0].ID != "r1" || !asked[0].Arrival.Equal(start.Add(time.Minute)) {
		t.Errorf("requests %+v (%v), want r1 as it arrived", asked, err)
	}
	acts, err := h.Acts(t.Context(), from)
	if err != nil || len(acts) != 1 || acts[0].Act != "confirm" {
		t.Errorf("acts %+v (%v), want one", acts, err)
	}
	if gaps, err := h.Gaps(t.Context(), from, to); err != nil || len(gaps) != 0 {
		t.Errorf("gaps %+v (%v), want none", gaps, err)
	}
}

// An event keeps the form in which its address came, and is found by the IPv4 address
// that this stands for.
func TestTimelineFindsEveryFormOfAnAddress(t *testing.T) {
	h, c := open(t)
	var events []schemas.Event
	for i, ip := range []string{
		"198.51.100.7", "64:ff9b::198.51.100.7", "64:ff9b:1::198.51.100.7", "64:ff9b:1:a:b:c:198.51.100.7", "64:ff9b:1:c633:64:700::", "::ffff:0:198.51.100.7", "::198.51.100.7",
		"2001:db8:64::198.51.100.7",
		"198.51.100.8", "64:ff9b::198.51.100.8", "2001:db8:64::198.51.100.8", "64:ff9b:2::198.51.100.7", "2001:db8::198.51.100.7",
	} {
		events = append(events, schemas.Event{ID: fmt.Sprintf("e%d", i), Type: schemas.TypeSend, Time: start.UnixMilli() + int64(i)*1000, Account: "a1",
			IP: netip.MustParseAddr(ip), Recipients: []string{"x@y.example"}})
	}
	insertEvents(t, c, 0, 0, events...)
	var got []string
	for e, err := range h.Timeline(t.Context(), schemas.Entity{Kind: schemas.KindIP, ID: "198.51.100.7"}, time.Time{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if i := len(got); i < len(events) && e.Event.IP != events[i].IP {
			t.Errorf("%s came from %s, want %s", e.ID, e.Event.IP, events[i].IP)
		}
		got = append(got, e.ID)
	}
	if want := []string{"e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What was found hours after it happened does not stand before the decisions that were
// made without it.
func TestTimelineHasLateFindingsWhereTheyWereFound(t *testing.T) {
	h, c := open(t)
	hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	insertFound(t, c, schemas.TopicInbox, schemas.KindSignal, 0, hour(1), hour(5), "sig_late", "account:a1", "a1", "{}")
	insertFound(t, c, schemas.TopicInbox, schemas.KindSignal, 1, hour(2), hour(2).Add(time.Minute), "sig_soon", "account:a1", "a1", "{}")
	insertFound(t, c, schemas.TopicDecisions, schemas.KindDecision, 0, hour(2), hour(2).Add(2*time.Minute), "dec", "account:a1", "a1", "{}")
	for _, limit := range []int{0, 2} {
		var got []string
		for e, err := range h.Timeline(t.Context(), schemas.Entity{Kind: schemas.KindAccount, ID: "a1"}, time.Time{}, limit) {
			if err != nil {
				t.Fatal(err)
			}
			if e.FoundLate() != (e.ID == "sig_late") {
				t.Errorf("%s: found late is %v", e.ID, e.FoundLate())
			}
			got = append(got, e.ID)
		}
		if want := []string{"sig_soon", "dec", "sig_late"}; !slices.Equal(got, want[len(want)-len(got):]) || len(got) != 3 && len(got) != limit {
			t.Errorf("with limit %d: %v, want %v", limit, got, want)
		}
	}
}

// An account with 5,000 events among 1,600,000.
func BenchmarkTimeline(b *testing.B) {
	h, c := open(b)
	err := c.Exec(b.Context(), `INSERT INTO events (log_id, topic, partition, offset, arrival, id, time, entity, account, type, ip, source, origin, credential, recipients)
SELECT 'log', 'events', number % 8, intDiv(number, 8), toDateTime64('2026-03-02 00:00:00', 3, 'UTC') + intDiv(number, 10), concat('e', toString(number)),
	toDateTime64('2026-03-02 00:00:00', 3, 'UTC') + intDiv(number, 10), concat('account:a', toString(number % 320)), concat('a', toString(number % 320)), 'send',
	toIPv6(concat('198.51.', toString(number % 100), '.', toString(number % 250))), 'http:mailer', 'live', concat('key-', toString(number % 320)),
	[concat('c', toString(number), '@mail.example')]
FROM numbers(1600000)`)
	if err != nil {
		b.Fatal(err)
	}
	for _, limit := range []int{1000, 0} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			for b.Loop() {
				n := 0
				for _, err := range h.Timeline(b.Context(), schemas.Entity{Kind: schemas.KindAccount, ID: "a7"}, time.Time{}, limit) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != 5000 && n != limit {
					b.Fatalf("%d entries", n)
				}
			}
		})
	}
}
