package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/webhook"
	"holdfast/schemas"
)

// example is the receiver of deploy/examples as a process of its own.
type example struct {
	t       *testing.T
	program string
	dir     string
	address string
	proc    *exec.Cmd
}

func newExample(t *testing.T, key []byte) *example {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command to build deploy/examples/receiver with")
	}
	x := &example{t: t, dir: t.TempDir()}
	x.program = filepath.Join(x.dir, "receiver")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", x.program, "holdfast/deploy/examples/receiver").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.address = l.Addr().String()
	_ = l.Close()
	if err := os.Rename(secretFile(t, key), filepath.Join(x.dir, "secret")); err != nil {
		t.Fatal(err)
	}
	x.start()
	t.Cleanup(x.kill)
	return x
}

// start returns when it listens.
func (x *example) start() {
	x.t.Helper()
	x.proc = exec.Command(x.program, "-listen", x.address, "-secret", filepath.Join(x.dir, "secret"), "-state", filepath.Join(x.dir, "state.ndjson"))
	errs, err := x.proc.StderrPipe()
	if err == nil {
		err = x.proc.Start()
	}
	if err != nil {
		x.t.Fatal(err)
	}
	lines := bufio.NewScanner(errs)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "listens on") {
	}
	go func() {
		for lines.Scan() { // what it prints must not block it
		}
	}()
}

func (x *example) kill() {
	_ = x.proc.Process.Kill()
	_ = x.proc.Wait()
}

// Killed at random while changes come in any order, several times each, the receiver ends with
// the newest standing of each entity, and has carried out each change at most once.
func TestTheExampleReceiverOverKills(t *testing.T) {
	x := newExample(t, key('k'))
	cfg := webhook.DefaultConfig()
	cfg.URL, cfg.StatusURL = "http://"+x.address+"/holdfast", "http://"+x.address+"/status/{entity}"
	cfg.SecretFiles = []string{filepath.Join(x.dir, "secret")}
	hook, err := webhook.New(cfg, webhook.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(7, 1))
	standings := []schemas.Status{
		{Status: "throttled"}, {Status: "suspended"}, {Status: "revoked", Revoked: []string{"key-1"}}, {Status: "active", PerDay: 100}, {Status: "active"},
	}
	last := map[string]notify.Change{}
	var all []notify.Change
	for account := range 30 {
		for step := range 4 {
			s := standings[rnd.IntN(len(standings))]
			s.Entity, s.Episode, s.Step = schemas.Entity{Kind: schemas.KindAccount, ID: fmt.Sprintf("acct/%d", account)}, 1+step/2, step%2
			c := schemas.ChangeOf(&s)
			c.ID = fmt.Sprintf("act_%d_%d", account, step)
			last[s.Entity.ID] = c
			for range 1 + rnd.IntN(3) {
				all = append(all, c)
			}
		}
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	work := make(chan notify.Change)
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for c := range work {
				tell(t, hook, c)
			}
		})
	}
	for i, c := range all {
		work <- c
		if i%40 == 20 {
			x.kill()
			x.start()
		}
	}
	close(work)
	senders.Wait()
	x.kill()
	x.start()
	for account, want := range last {
		is, err := hook.Status(t.Context(), schemas.Entity{Kind: schemas.KindAccount, ID: account})
		if err != nil || is.Differs(&want) != "" {
			t.Errorf("%s: %v, %s", account, err, is.Differs(&want))
		}
	}
	x.once(t)
	if retry, err := hook.Change(t.Context(), notify.Change{ID: "act_x", Entity: schemas.Entity{Kind: "account", ID: "a"}, Acts: []schemas.Act{{Do: "behead"}}}); retry || err == nil {
		t.Errorf("an act that it does not know: %v, %v", retry, err)
	}
	other := newHook(t, cfg.URL, key('o'))
	if retry, err := other.Change(t.Context(), last["acct/1"]); !retry || err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("signed with another secret: %v, %v", retry, err)
	}
}

// tell sends a change until it is confirmed, as enforcement does.
func tell(t *testing.T, hook *webhook.Webhook, c notify.Change) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		retry, err := hook.Change(ctx, c)
		if err == nil {
			return
		}
		if !retry || ctx.Err() != nil {
			t.Errorf("%s: retry %v, %v", c.ID, retry, err)
			return
		}
	}
}

// once holds that the file names each change at most once, and each entity's in their order.
func (x *example) once(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(x.dir, "state.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	seen, at := map[string]bool{}, map[string]notify.Change{}
	for line := range bytes.Lines(b) {
		var c notify.Change
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		before := at[c.Entity.ID]
		if seen[c.ID] || before.ID != "" && (c.Episode < before.Episode || c.Episode == before.Episode && c.Step <= before.Step) {
			t.Errorf("%s was carried out twice, or after %s", c.ID, before.ID)
		}
		seen[c.ID], at[c.Entity.ID] = true, c
	}
	if len(seen) < 30 {
		t.Errorf("%d changes were carried out", len(seen))
	}
}
