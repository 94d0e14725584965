package intake

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"holdfast/schemas"
)

var (
	arrival = time.Date(2026, 3, 2, 0, 0, 10, 0, time.UTC)
	live    = &Source{Name: "http:api", Origin: schemas.OriginLive}
)

const login = `{"id":"e1","type":"login","account":"acct-1","time":"2026-03-02T00:00:08Z","user":"u","outcome":"success","source":"me","origin":"replay"}`

func TestCheckSetsTheEnvelope(t *testing.T) {
	var c Checker
	rec, err := c.Check([]byte(login), live, arrival)
	if err != nil {
		t.Fatal(err)
	}
	if string(rec.Value) != login || string(rec.Key) != "account:acct-1" || rec.Time != arrival.UnixMilli() || rec.ID != "e1" || rec.Type != schemas.TypeLogin {
		t.Errorf("record %+v", rec)
	}
	headers := map[string]string{}
	for _, h := range rec.Headers {
		headers[h.Key] = string(h.Value)
	}
	want := map[string]string{"kind": "event", "id": "e1", "source": "http:api", "origin": "live"}
	if diff := cmp.Diff(want, headers); diff != "" {
		t.Errorf("headers differ (-want +got):\n%s", diff)
	}
	// Key and headers must not change when the next record is checked.
	if _, err := c.Check([]byte(strings.ReplaceAll(login, "1", "2")), live, arrival); err != nil {
		t.Fatal(err)
	}
	if string(rec.Key) != "account:acct-1" || string(rec.Headers[1].Value) != "e1" {
		t.Error("the next record changed this one")
	}
}

// An address below a NAT64 prefix of the operator's own is the IPv4 address: that keys the
// record and travels with it, and the record keeps what came.
func TestCheckTranslates(t *testing.T) {
	const sent = `{"id":"e1","type":"connection","time":"2026-03-02T00:00:08Z","ip":"2001:db8:64::c633:6407","state":"open"}`
	c := Checker{Networks: fixed{netip.MustParseAddr("2001:db8:64::c633:6407"): {IPv4: "198.51.100.7"}}}
	rec, err := c.Check([]byte(sent), live, arrival)
	if err != nil {
		t.Fatal(err)
	}
	if h := rec.Headers[len(rec.Headers)-1]; string(rec.Key) != "ip:198.51.100.7" || h.Key != schemas.HeaderNetwork || string(h.Value) != "v4=198.51.100.7" || string(rec.Value) != sent {
		t.Errorf("key %s, header %s %s, value %s", rec.Key, h.Key, h.Value, rec.Value)
	}
}

// fixed knows one address.
type fixed map[netip.Addr]schemas.Network

func (f fixed) Of(a netip.Addr) schemas.Network { return f[a] }

// What is known of an event's address stands in its header; what a sender claims of it
// stays a field that nobody reads.
func TestCheckNotesTheNetwork(t *testing.T) {
	at := netip.MustParseAddr("192.0.2.1")
	known := fixed{at: {Country: "DE", ASN: 64496, Hosting: true, City: "Berlin"}}
	from := func(ip string) string {
		return strings.Replace(login, `"user"`, `"net":"cc=FR;k=v",`+ip+`"user"`, 1)
	}
	for ip, want := range map[string]string{
		`"ip":"192.0.2.1",`:        "cc=DE;as=64496;k=h;c=Berlin",
		`"ip":"::ffff:192.0.2.1",`: "cc=DE;as=64496;k=h;c=Berlin",
		`"ip":"192.0.2.2",`:        "none",
		"":                         "none",
	} {
		c := Checker{Networks: known}
		rec, err := c.Check([]byte(from(ip)), live, arrival)
		if err != nil {
			t.Fatal(err)
		}
		got := "none"
		for _, h := range rec.Headers {
			if h.Key == schemas.HeaderNetwork {
				got = string(h.Value)
			}
		}
		if got != want {
			t.Errorf("with %q the header is %q, want %q", ip, got, want)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	at := func(d time.Duration) string {
		return strings.Replace(login, "2026-03-02T00:00:08Z", arrival.Add(d).Format(time.RFC3339Nano), 1)
	}
	narrow := &Source{Name: "topic:sends", Types: []schemas.EventType{schemas.TypeSend}, Origin: schemas.OriginLive}
	cases := []struct {
		name, data string
		src        *Source
		reason     schemas.Reason
		field      string
	}{
		{"at the tolerance", at(schemas.FutureTolerance), live, "", ""},
		{"beyond the tolerance", at(schemas.FutureTolerance + time.Millisecond), live, schemas.ReasonFuture, "time"},
		{"far future", at(20 * 365 * 24 * time.Hour), live, schemas.ReasonFuture, "time"},
		{"old", at(-365 * 24 * time.Hour), live, "", ""},
		{"not its type", login, narrow, schemas.ReasonNotAllowed, "type"},
		{"not JSON", "{", live, schemas.ReasonNotJSON, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var checker Checker
			_, err := checker.Check([]byte(c.data), c.src, arrival)
			if c.reason == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if err == nil || err.Reason != c.reason || err.Field != c.field || err.Fix == "" {
				t.Errorf("error %+v, want %s in %q", err, c.reason, c.field)
			}
		})
	}
}

func TestRejectKeepsHeadAndPlace(t *testing.T) {
	data := bytes.Repeat([]byte("x\xff"), 50_000)
	why := &schemas.Error{Reason: schemas.ReasonBadUTF8, What: "byte 1: is not UTF-8", Fix: "encode text as UTF-8"}
	place := Place{Topic: "platform.mail", Partition: 3, Offset: 17}
	rec, err := Reject(Keep(data), live, place, why, arrival)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Reject(Keep(data), live, place, why, arrival.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var r schemas.Rejected
	if err := json.Unmarshal(rec.Value, &r); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.Head, data[:RejectedHead]) || r.Size != len(data) || r.Offset != 17 || r.Partition != 3 || r.Topic != "platform.mail" ||
		r.Source != "http:api" || r.Reason != schemas.ReasonBadUTF8 || len(r.SHA256) != 64 {
		t.Errorf("rejected %+v", r)
	}
	if string(rec.Key) != string(again.Key) || string(rec.Key) != r.ID {
		t.Error("the same refusal has two ids")
	}
	if !bytes.Contains(rec.Value, []byte(base64.StdEncoding.EncodeToString(data[:30]))) {
		t.Error("the head is not base64")
	}
}

func BenchmarkCheck(b *testing.B) {
	data := []byte(`{"id":"e1","time":"2026-03-02T00:00:08.350Z","type":"send","account":"acct-00015","credential":"key-15-1","channel":"api","ip":"52.20.55.165","sender":"hello@shop15.example","recipients":["u4876203@corp873.example"],"message_id":"m598@shop15.example","size":53507}`)
	var c Checker
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Check(data, live, arrival); err != nil {
			b.Fatal(err)
		}
	}
}
