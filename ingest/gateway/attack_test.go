package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"holdfast/ingest/intake"
	"holdfast/ingest/intake/intaketest"
)

// serve runs a gateway behind a door on loopback, as the application does.
func serve(t *testing.T, cfg Config, connections int) (addr string) {
	t.Helper()
	g := handler(t, cfg, Deps{Writer: intaketest.Producer(t, &intaketest.Broker{Lanes: 3}, intake.Config{})})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	door := NewDoor(connections)
	s := door.Server(g)
	done := make(chan error, 1)
	go func() { done <- s.Serve(door.Listener(ln)) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return ln.Addr().String()
}

// send posts one event over a connection of its own.
func send(addr, token string) (int, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+Path, strings.NewReader(fmt.Sprintf(login, 1)))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func dial(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, _ = io.WriteString(c, text)
	return c
}

// head is the beginning of a request whose body is to follow.
func head(token string, length int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", Path, token, length)
}

// TestIdleConnections holds connections that say nothing, or half a head, or a head
// without a token and no body, and sends beside them.
func TestIdleConnections(t *testing.T) {
	for name, text := range map[string]string{
		"silent": "", "half a head": "POST /v1/events HTTP/1.1\r\nHost: x\r\nX-A: ", "no token": "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx",
		"a wrong token": head("wrong", 1_000_000) + "x",
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, Config{}, 64)
			for i := range 400 {
				dial(t, addr, text)
				if i%100 == 99 {
					if code, err := send(addr, secret); code != http.StatusOK {
						t.Fatalf("beside %d connections: %d, %v", i+1, code, err)
					}
				}
			}
		})
	}
}

// TestKnownConnectionsStay checks that connections which have shown a token are not
// the ones that give way.
func TestKnownConnectionsStay(t *testing.T) {
	addr := serve(t, Config{}, 8)
	event := fmt.Sprintf(login, 1)
	c := dial(t, addr, head(secret, len(event))+event)
	r := bufio.NewReader(c)
	read := func() {
		t.Helper()
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v %v", resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	read()
	for range 100 {
		dial(t, addr, "")
	}
	if code, err := send(addr, secret); code != http.StatusOK {
		t.Fatalf("%d, %v", code, err)
	}
	_, _ = io.WriteString(c, head(secret, len(event))+event)
	read()
}

// TestOneTokenLeavesPlaces lets one token hold all the places that it can get with
// bodies that do not come, and sends with another. On 76a1c02 that one waited 60 s.
func TestOneTokenLeavesPlaces(t *testing.T) {
	g := newPlaces(8, false)
	all, logins := &sender{}, &sender{}
	a, b := network("192.0.2.1:1"), network("192.0.2.2:1")
	held := 0
	for ; ; held++ {
		if _, ok := g.take(all, a); !ok {
			break
		}
	}
	if held < 4 || held > 7 {
		t.Errorf("one token holds %d of 8 places", held)
	}
	leave, ok := g.take(logins, a)
	if !ok {
		t.Fatal("no place for another token of the same address")
	}
	leave()
	leave, ok = g.take(logins, b)
	if !ok {
		t.Fatal("no place for another token of another address")
	}
	leave()
	leave, ok = g.take(logins, b)
	if !ok {
		t.Fatal("a place that was given back is not there")
	}
	leave()
}

// TestPlacesComeBack takes and gives back in many orders.
func TestPlacesComeBack(t *testing.T) {
	p := newPlaces(16, false)
	senders := []*sender{{}, {}, {}}
	var leaves []func()
	for i := range 200 {
		if leave, ok := p.take(senders[i%3], network(fmt.Sprintf("192.0.2.%d:1", i%5))); ok {
			leaves = append(leaves, leave)
		}
		if i%7 == 6 && len(leaves) > 0 {
			leaves[0]()
			leaves = leaves[1:]
		}
	}
	for _, leave := range leaves {
		leave()
	}
	if p.free != 16 || len(p.tokens) != 0 || len(p.addrs) != 0 {
		t.Errorf("%d places are free, %v, %v", p.free, p.tokens, p.addrs)
	}
	one := newPlaces(1, true)
	if _, ok := one.take(senders[0], network("192.0.2.1:1")); !ok {
		t.Error("the only place is never given")
	}
}

// TestSlowBodies holds every place that a token can get with bodies that come byte by
// byte. They are turned away after the grace, and another token is served meanwhile.
func TestSlowBodies(t *testing.T) {
	addr := serve(t, Config{MaxConcurrent: 8, MinRate: 1 << 20}, 64)
	begin := time.Now()
	var slow []net.Conn
	for range 16 {
		slow = append(slow, dial(t, addr, head(secret+"2", 1_000_000)+`{"id":`))
	}
	if code, err := send(addr, secret); code != http.StatusOK {
		t.Fatalf("beside slow bodies: %d, %v", code, err)
	}
	codes := map[int]int{}
	for _, c := range slow {
		_ = c.SetReadDeadline(begin.Add(30 * time.Second))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("a slow body was not answered: %v", err)
		}
		codes[resp.StatusCode]++
	}
	if codes[http.StatusRequestTimeout] == 0 || codes[http.StatusRequestTimeout]+codes[http.StatusTooManyRequests] != 16 {
		t.Errorf("answers %v", codes)
	}
	if took := time.Since(begin); took < paceGrace || took > 20*time.Second {
		t.Errorf("slow bodies held their places for %v", took)
	}
}

// TestPaceCountsTheSendersTime checks that time in which nobody reads is not taken
// for the sender's.
func TestPaceCountsTheSendersTime(t *testing.T) {
	now := time.Unix(0, 0)
	w := &deadlines{}
	p := &pace{body: strings.NewReader(strings.Repeat("x", 1000)), conn: http.NewResponseController(w), now: func() time.Time { return now }, end: now.Add(time.Minute), grace: time.Second, rate: 100}
	if n, err := p.Read(make([]byte, 100)); n != 100 || err != nil || !w.within.Equal(now.Add(time.Second)) {
		t.Errorf("%d, %v, until %v", n, err, w.within)
	}
	now = now.Add(30 * time.Second) // in which we were busy
	if _, err := p.Read(make([]byte, 100)); err != nil || !w.within.Equal(now.Add(2*time.Second)) {
		t.Errorf("%v, until %v: the sender has 1 s of grace and 1 s for 100 bytes", err, w.within)
	}
	now = now.Add(29 * time.Second)
	if _, _ = p.Read(make([]byte, 100)); !w.within.Equal(time.Unix(60, 0)) {
		t.Errorf("until %v, beyond the end of the request", w.within)
	}
	if !w.after.Equal(time.Unix(60, 0)) {
		t.Errorf("between reads until %v: a broker that is slow would cut the sender off", w.after)
	}
}

// deadlines keeps the last two: of a read, and between reads.
type deadlines struct {
	http.ResponseWriter
	within, after time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.within, d.after = d.after, t
	return nil
}
