package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/decision"
	"holdfast/alerting/notify/ses/sestest"
	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/cmd/internal/demo"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// bad stands in front of the example receiver and answers in its place what receivers answer
// on bad days, for the first attempts at each change.
type bad struct {
	t    *testing.T
	to   string // where the example listens
	seed uint64

	mu     sync.Mutex
	bodies map[string]string // by webhook-id
	tries  map[string]int
	faults map[string]int
}

// The faults; before and after say whether the change has reached the receiver by then.
var badDays = []string{"200", "500 before", "500 after", "429", "timeout before", "timeout after", "reset before", "reset after", "redirect", "twice"}

// faulty is how many attempts at one change may meet a fault.
const faulty = 3

func (b *bad) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed
	}
	if r.URL.Path != "/holdfast" {
		b.t.Errorf("a redirect was followed to %s", r.URL.Path)
	}
	id := r.Header.Get("Webhook-Id")
	b.mu.Lock()
	if was, ok := b.bodies[id]; ok && was != string(body) {
		b.t.Errorf("two bodies under one id:\n%s\n%s", was, body)
	}
	b.bodies[id] = string(body)
	b.tries[id]++
	fault := badDays[0]
	if b.tries[id] <= faulty {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %s %d", b.seed, id, b.tries[id])
		fault = badDays[h.Sum64()%uint64(len(badDays))]
	}
	b.faults[fault]++
	b.mu.Unlock()
	status := http.StatusOK
	if fault == "200" || fault == "twice" || strings.HasSuffix(fault, "after") {
		status = b.pass(r, body)
	}
	switch {
	case fault == "redirect":
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	case fault == "429":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case strings.HasPrefix(fault, "500"):
		w.WriteHeader(http.StatusInternalServerError)
	case strings.HasPrefix(fault, "timeout"):
		select {
		case <-time.After(5 * time.Second):
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case strings.HasPrefix(fault, "reset"):
		c, _ := hijack(w)
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	case fault == "twice":
		c, rw := hijack(w)
		for range 2 {
			fmt.Fprintf(rw, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
		}
		_ = rw.Flush()
		_ = c.Close()
	default:
		w.WriteHeader(status)
	}
}

func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return c, rw
}

// pass hands a request on as it came and returns the example's answer.
func (b *bad) pass(r *http.Request, body []byte) int {
	req, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, "http://"+b.to+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return http.StatusInternalServerError
	}
	req.Header = r.Header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return http.StatusBadGateway // it is killed too
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// exampleReceiver is deploy/examples/receiver, which is killed as well.
type exampleReceiver struct {
	t    *testing.T
	args []string
	proc *exec.Cmd
}

func (x *exampleReceiver) start() {
	x.proc = exec.Command(x.args[0], x.args[1:]...)
	if err := x.proc.Start(); err != nil {
		x.t.Fatal(err)
	}
}

func (x *exampleReceiver) kill() {
	_ = x.proc.Process.Kill()
	_ = x.proc.Wait()
}

// campaign is what is decided: each account's inputs, in their order, and what must be in
// force at the end.
type campaign struct {
	inputs []input
	want   map[string]string // status by entity
	count  int               // decisions that change a status
}

type input struct {
	kind  schemas.Kind
	id    string
	key   string
	value any
}

// newCampaign makes n decisions: in ten, six by two signals' accounts' throttle and stop, two
// by hand that stop and release, two by hand that block an address.
func newCampaign(n int) *campaign {
	c, now := &campaign{want: map[string]string{}}, time.Now().UTC().Truncate(time.Millisecond)
	add := func(kind schemas.Kind, id string, e schemas.Entity, v any) {
		c.inputs = append(c.inputs, input{kind, id, e.Key(), v})
	}
	person := func(e schemas.Entity, act string) {
		id := "req_" + act + "_" + e.ID
		add(schemas.KindRequest, id, e, schemas.Request{ID: id, Time: now, Entity: e, Act: act, Actor: "ann", Why: "a test"})
		c.count++
	}
	account := func(i int) schemas.Entity {
		e := schemas.Entity{Kind: schemas.KindAccount, ID: fmt.Sprintf("acct-%d", i)}
		add(schemas.KindEvent, "ev_"+e.ID, e, map[string]any{"id": "ev_" + e.ID, "type": "account", "time": now, "account": e.ID, "status": "active",
			"contacts": []map[string]string{{"email": "owner@" + e.ID + ".example", "role": "owner"}}})
		return e
	}
	for i := range n / 10 {
		for j := range 3 {
			e := account(10*i + j)
			add(schemas.KindSignal, "sig_"+e.ID, e, schemas.Signal{
				ID: "sig_" + e.ID, Time: now, Detector: "exposed_key", Version: 1, Family: schemas.FamilyInsider, Entity: e, Account: e.ID, Level: 1, Score: 1, Severity: schemas.SeverityHigh,
				Technique: "T1078", Certain: true, Trigger: "ev_" + e.ID, Origin: schemas.OriginLive, Arrival: now,
				Evidence: schemas.Evidence{Observed: 500, Expected: 1, Threshold: 1, Unit: "recipients", Window: "1h0m0s", Text: "a key that an employee saw is used"},
			})
			c.want[e.Key()] = schemas.StatusSuspended
			c.count += 2
		}
		e := account(10*i + 3)
		person(e, "suspend")
		person(e, "release")
		c.want[e.Key()] = schemas.StatusActive
		for j := range 2 {
			e := schemas.Entity{Kind: schemas.KindIP, ID: fmt.Sprintf("198.%d.%d.%d", 18+j, i/250, 1+i%250)}
			person(e, "block")
			c.want[e.Key()] = schemas.StatusBlocked
		}
	}
	return c
}

// write puts all inputs on the inbox within about the given time, whatever is killed meanwhile.
func (c *campaign) write(t *testing.T, r *reborn, within time.Duration) {
	var client *kafka.Client
	defer func() {
		if client != nil {
			client.Close()
		}
	}()
	var cfg config.Config
	lanes := 0
	for i, in := range c.inputs {
		b, err := json.Marshal(in.value)
		if err != nil {
			t.Error(err)
			return
		}
		for t.Context().Err() == nil {
			if client == nil {
				if cfg, err = (&common{DataDir: r.dir, ConfigFile: r.args[1]}).running(); err == nil {
					client, err = app.Connect(&cfg, quiet())
				}
			}
			if err == nil && lanes == 0 {
				lanes, err = client.Partitions(t.Context(), cfg.Kafka.Prefix+string(schemas.TopicInbox))
			}
			if err == nil {
				tp := kafka.TopicPartition{Topic: cfg.Kafka.Prefix + string(schemas.TopicInbox), Partition: kafka.Partition([]byte(in.key), lanes)}
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				err = client.Write(ctx, tp, []kafka.Record{{Key: []byte(in.key), Value: b, Time: time.Now().UnixMilli(), Headers: []kafka.Header{
					{Key: schemas.HeaderKind, Value: []byte(in.kind)}, {Key: schemas.HeaderID, Value: []byte(in.id)}, {Key: schemas.HeaderOrigin, Value: []byte(schemas.OriginLive)},
				}}})
				cancel()
			}
			if err == nil {
				break
			}
			wait(t, 20*time.Millisecond)
			err = nil
		}
		if i%10 == 9 {
			wait(t, within*10/time.Duration(len(c.inputs)))
		}
	}
}

// A thousand decisions, while the process and the receiver are killed at random and the
// receiver answers badly: each entity ends in the right status, each change is carried out
// once by its key, nobody is told twice, and a channel that never answers delays no other.
func TestAThousandDecisionsOverKills(t *testing.T) {
	n, kills, spread := 1000, 8, 16*time.Second
	if testing.Short() {
		n, kills, spread = 100, 2, 3*time.Second
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command to build deploy/examples/receiver with")
	}
	dir, seed := t.TempDir(), rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	program, state := filepath.Join(dir, "receiver"), filepath.Join(dir, "state.ndjson")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "holdfast/deploy/examples/receiver").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	secret := file("secret", "whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))))
	x := &exampleReceiver{t: t, args: []string{program, "-listen", "127.0.0.1:" + freePort(t), "-secret", secret, "-state", state}}
	x.start()
	t.Cleanup(func() { x.kill() })

	front := &bad{t: t, to: x.args[2], seed: seed, bodies: map[string]string{}, tries: map[string]int{}, faults: map[string]int{}}
	hook := httptest.NewServer(front)
	t.Cleanup(hook.Close)
	c := newCampaign(n)
	var tenants []string
	for key := range c.want {
		tenants = append(tenants, strings.TrimPrefix(key, "account:"))
	}
	region := sestest.New(tenants...)
	for range n / 5 {
		region.Fail = append(region.Fail, sestest.Failure{}, sestest.Failure{Status: 429, Code: "TooManyRequestsException"}, sestest.Failure{Cut: true}, sestest.Failure{Status: 500, Code: "InternalFailure"})
	}
	amazon := httptest.NewServer(region)
	t.Cleanup(amazon.Close)
	deaf := deafServer(t)
	box := newInboxes(t)

	settings := file("holdfast.yaml", fmt.Sprintf(`
kafka: {listen: "127.0.0.1:%s"}
clickhouse: {addr: ["127.0.0.1:1"]}
respond: {age_limit: off, brake: false}
enforce:
  max_backoff: 2s
  webhook: {url: "%s/holdfast", secret_file: %s, timeout: 1s}
  ses: {region: eu-central-1, endpoint: %q, timeout: 2s}
  smtp: {host: 127.0.0.1, port: %d, tls: none, from: holdfast@example.com, operators: [ops@example.com], customers: true}
  alertmanager: [{name: deaf, url: %q, timeout: 2s}]
`, freePort(t), hook.URL, secret, amazon.URL, box.Port(), deaf))
	r := &reborn{t: t, dir: filepath.Join(dir, "data"), args: []string{"--config", settings, "--roles", "respond"}, env: []string{"AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true"}}
	r.start()
	t.Cleanup(func() {
		r.end(syscall.SIGKILL)
		if t.Failed() {
			text := r.log.String()
			t.Log(text[max(0, len(text)-20_000):])
		}
	})
	r.endpoints()
	began := time.Now()
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write(t, r, spread)
	}()
	for i := range kills {
		wait(t, time.Duration(500+rnd.IntN(int(2*spread/time.Millisecond)/kills))*time.Millisecond)
		r.end(syscall.SIGKILL)
		r.start()
		if i%2 == 1 {
			x.kill()
			x.start()
		}
		r.endpoints()
	}
	<-written
	t.Logf("written after %s", time.Since(began).Round(time.Second))
	r.confirmed(c)
	t.Logf("confirmed after %s", time.Since(began).Round(time.Second))
	eventually(t, "everybody to be told", func() bool { return box.about("stopped") >= 3*n/10 })
	r.check(c, front, region, state)
	box.check(t, c, kills)
	front.mu.Lock()
	defer front.mu.Unlock()
	t.Logf("attempts by fault: %v", front.faults)
	for _, fault := range badDays {
		if front.faults[fault] == 0 {
			t.Errorf("%q never happened", fault)
		}
	}
}

// confirmed waits until no receiver has anything left to confirm.
func (r *reborn) confirmed(c *campaign) {
	r.t.Helper()
	cfg, err := (&common{DataDir: r.dir, ConfigFile: r.args[1]}).running()
	if err != nil {
		r.t.Fatal(err)
	}
	client, err := app.Connect(&cfg, quiet())
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	eventually(r.t, "every receiver to confirm", func() bool {
		all, err := app.ReadAllEnforced(r.t.Context(), client, &cfg)
		if err != nil || len(all) < len(c.want) {
			return false
		}
		for key, status := range c.want {
			s := all[key]
			if s == nil || s.Last.Status != status || len(s.Undelivered()) > 0 {
				return false
			}
		}
		return true
	})
}

// check holds what is in force at the example and at SES against what must be, and that each
// change was carried out at most once.
func (r *reborn) check(c *campaign, front *bad, region *sestest.Fake, state string) {
	t := r.t
	t.Helper()
	b, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	seen, last := map[string]bool{}, map[string]schemas.Change{}
	for line := range bytes.Lines(b) {
		var x schemas.Change
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		before := last[x.Entity.Key()]
		if seen[x.ID] || before.ID != "" && (x.Episode < before.Episode || x.Episode == before.Episode && x.Step <= before.Step) {
			t.Errorf("%s of %s was carried out twice, or after %s", x.ID, x.Entity, before.ID)
		}
		seen[x.ID], last[x.Entity.Key()] = true, x
	}
	for key, status := range c.want {
		if last[key].Status != status {
			t.Errorf("%s is %q at the platform, not %q", key, last[key].Status, status)
		}
		if account, ok := strings.CutPrefix(key, "account:"); ok && (region.Status(account) == "DISABLED") != (status == schemas.StatusSuspended) {
			t.Errorf("%s is %s at SES, and should be %s", key, region.Status(account), status)
		}
	}
	if len(last) != len(c.want) {
		t.Errorf("%d entities at the platform, %d were decided about", len(last), len(c.want))
	}
	front.mu.Lock()
	defer front.mu.Unlock()
	if n := r.decided(); n != c.count {
		t.Errorf("%d decisions changed a status, not %d", n, c.count)
	}
	t.Logf("%d changes of %d decisions were carried out, in %d attempts", len(seen), c.count, sum(front.tries))
}

func sum(m map[string]int) (n int) {
	for _, x := range m {
		n += x
	}
	return n
}

// decided counts the decisions on the topic that change a status, each once.
func (r *reborn) decided() int {
	cfg, err := (&common{DataDir: r.dir, ConfigFile: r.args[1]}).running()
	if err != nil {
		r.t.Fatal(err)
	}
	client, err := app.Connect(&cfg, quiet())
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	topic := cfg.Kafka.Prefix + string(schemas.TopicDecisions)
	n, err := client.Partitions(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	ids := map[string]bool{}
	for p := range int32(n) {
		at := kafka.Position{TopicPartition: kafka.TopicPartition{Topic: topic, Partition: p}}
		ends, err := client.Offsets(r.t.Context(), []kafka.TopicPartition{at.TopicPartition})
		for at.Offset = ends[at.TopicPartition].Start; err == nil && at.Offset < ends[at.TopicPartition].End; {
			var got []kafka.Fetched
			if got, err = client.Fetch(r.t.Context(), []kafka.Position{at}, kafka.FetchOptions{MaxWait: time.Second}); err != nil {
				break
			}
			for _, rec := range got[0].Records {
				if d, err := decision.Decode(rec.Value); err == nil && d.Status != nil {
					ids[d.ID] = true
				}
			}
			at.Offset = got[0].Next
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return len(ids)
}

// deafServer takes connections and never says a word.
func deafServer(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var kept []net.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			kept = append(kept, c)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range kept {
			_ = c.Close()
		}
	})
	return "http://" + l.Addr().String()
}

// inboxes are everybody's mail.
type inboxes struct {
	*demo.Mailbox
	mu    sync.Mutex
	mails map[string][]demo.Mail // by Message-ID
}

func newInboxes(t *testing.T) *inboxes {
	t.Helper()
	b := &inboxes{mails: map[string][]demo.Mail{}}
	var err error
	b.Mailbox, err = demo.NewMailbox(t.Context(), func(m demo.Mail) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.mails[m.ID] = append(b.mails[m.ID], m)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// about counts the customers' mails whose subject says so, each Message-ID once.
func (b *inboxes) about(what string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.mails {
		if m[0].To != "ops@example.com" && strings.Contains(m[0].Subject, what) {
			n++
		}
	}
	return n
}

// atOnce is how many notices of a channel may be under way when a process is killed.
const atOnce = 16

// check holds that nobody is told the same by two mails. One mail may come twice only where a
// kill parted the mail server's answer from its record, and then under one Message-ID, by
// which mail programs know it.
func (b *inboxes) check(t *testing.T, c *campaign, kills int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	told, repeats := map[string]string{}, 0
	for id, ms := range b.mails {
		if id == "" {
			t.Errorf("a mail has no Message-ID: %+v", ms[0])
		}
		repeats += len(ms) - 1
		m := ms[0]
		if m.To == "ops@example.com" {
			continue
		}
		if other, ok := told[m.To+m.Subject]; ok {
			t.Errorf("%s was told %q by %s and by %s", m.To, m.Subject, other, id)
		}
		told[m.To+m.Subject] = id
	}
	if repeats > kills*atOnce {
		t.Errorf("%d mails came again after %d kills", repeats, kills)
	}
	t.Logf("%d mails to customers, %d in all; %d came again under their Message-ID", len(told), len(b.mails), repeats)
	for key, status := range c.want {
		account, ok := strings.CutPrefix(key, "account:")
		if !ok {
			continue
		}
		to, stopped, released := "owner@"+account+".example", 0, 0
		for text := range told {
			if strings.HasPrefix(text, to) {
				if strings.Contains(text, "released") {
					released++
				} else {
					stopped++
				}
			}
		}
		if status == schemas.StatusSuspended && (stopped != 1 || released != 0) || status == schemas.StatusActive && stopped != released {
			t.Errorf("%s, who ends %s, was told %d stops and %d releases", account, status, stopped, released)
		}
	}
}
