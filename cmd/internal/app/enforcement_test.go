package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/enforce"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// webhookServer is a platform that answers what it is told to.
type webhookServer struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	got    map[string][]string // ids that it took, by entity
	tries  map[string]int      // by id
}

func newWebhookServer(t *testing.T, status int) *webhookServer {
	t.Helper()
	s := &webhookServer{status: status, got: map[string][]string{}, tries: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var c struct{ Entity schemas.Entity }
		if err == nil {
			err = json.Unmarshal(body, &c, json.MatchCaseInsensitiveNames(true))
		}
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		id := r.Header.Get("webhook-id")
		s.tries[id]++
		if s.status/100 == 2 {
			s.got[c.Entity.Key()] = append(s.got[c.Entity.Key()], id)
		}
		w.WriteHeader(s.status)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *webhookServer) answer(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *webhookServer) took(entity string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got[entity])
}

// enforcing is a configuration that tells the server, and needs no audit store.
func enforcing(t *testing.T, dir string, s *webhookServer) config.Config {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t, dir)
	cfg.ClickHouse.Addr = []string{"127.0.0.1:1"} // these roles need none
	cfg.Enforce.Webhook.URL, cfg.Enforce.Webhook.SecretFile = s.URL, secret
	return cfg
}

var onlyRespond = Options{Roles: []Role{RoleRespond}}

// The platform answers 404 for as long as the process lives; the next process tells it
// again under the same id, and what it has confirmed is not told a third time.
func TestASuspensionOutlivesTheProcess(t *testing.T) {
	s := newWebhookServer(t, http.StatusNotFound)
	dir := t.TempDir()
	cfg := enforcing(t, dir, s)
	a, stop := launch(t, cfg, onlyRespond)
	cfg = a.Config()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	e := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}
	if op, err := Ask(ctx, a.client, &cfg, schemas.Request{Entity: e, Act: "suspend", Actor: "ann", Why: "key leaked"}); err != nil || op.Refused != "" {
		t.Fatal(op, err)
	}
	within(t, time.Minute, "nothing says that the platform fails", func() bool {
		x, err := ReadEnforced(ctx, a.client, &cfg, e)
		return err == nil && x != nil && x.Receivers["platform"].Failing != nil && strings.Contains(x.Receivers["platform"].Failing.Error, "404")
	})
	within(t, time.Minute, "the answer to /readyz does not tell", func() bool {
		code, body := get(t, "http://"+a.Endpoints().Observability+"/readyz")
		return code == http.StatusOK && strings.Contains(body, "platform has not confirmed 1 changes")
	})
	stop()
	s.answer(http.StatusNoContent)
	for range 2 {
		a, stop = launch(t, enforcing(t, dir, s), onlyRespond)
		cfg = a.Config()
		within(t, time.Minute, "the platform was not told by the next process", func() bool { return len(s.took(e.Key())) == 1 })
		within(t, time.Minute, "nothing says that the platform has confirmed", func() bool {
			x, err := ReadEnforced(ctx, a.client, &cfg, e)
			return err == nil && x.Receivers["platform"].Confirmed != nil && len(x.Undelivered()) == 0
		})
		// A process that stops between a record and its state writes the record again, by its id.
		if got := slices.Compact(outcomesOf(t, a, e)); !slices.Equal(got, []string{enforce.OutcomeFailing, enforce.OutcomeDone}) {
			t.Errorf("outcomes %v", got)
		}
		stop()
	}
	if len(s.tries) != 1 {
		t.Errorf("attempts under %d ids: %v", len(s.tries), s.tries)
	}
}

// outcomesOf reads an entity's actions.
func outcomesOf(t *testing.T, a *App, e schemas.Entity) []string {
	t.Helper()
	var out []string
	tp := kafka.TopicPartition{Topic: a.cfg.Kafka.Prefix + string(schemas.TopicActions), Partition: kafka.Partition([]byte(e.Key()), a.install.Lanes)}
	err := readToEnd(t.Context(), a.client, tp, 0, func(r kafka.Record) error {
		var x schemas.Action
		if err := json.Unmarshal(r.Value, &x); err != nil {
			return err
		}
		if x.Entity == e {
			out = append(out, x.Outcome)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// An earlier version gave a suspension up after a quarter of an hour, or at the first 404.
// Its status stands, so it is carried out now; what it had carried out, and what it had
// held for a person, is left alone.
func TestWhatAnEarlierVersionGaveUpIsCarriedOut(t *testing.T) {
	s := newWebhookServer(t, http.StatusOK)
	dir := t.TempDir()
	a, stop := launch(t, enforcing(t, dir, s), Options{Roles: []Role{RoleDetect}})
	ctx := t.Context()
	put := func(topic schemas.Topic, kind schemas.Kind, e schemas.Entity, v any) {
		t.Helper()
		b, err := json.Marshal(v)
		if err == nil {
			err = writeKeyed(ctx, a.client, a.cfg.Kafka.Prefix, a.install.Lanes, topic, kind, "x", e.Key(), b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, outcome := range []string{"failed", "done", "held", "", "active"} {
		e := schemas.Entity{Kind: schemas.KindAccount, ID: fmt.Sprintf("acct-%d", i)}
		st := schemas.Status{Entity: e, Status: "suspended", Episode: 5, Step: 1, Verdict: schemas.VerdictSuspend, Decision: "dec_" + e.ID, Since: time.Now().UTC()}
		if outcome == "active" {
			st.Status, st.Verdict = "active", schemas.VerdictRelease
		}
		put(schemas.TopicStatus, schemas.KindStatus, e, st)
		if outcome != "" {
			put(schemas.TopicActions, schemas.KindAction, e, schemas.Action{ID: "act_" + e.ID, Time: time.Now().UTC(), Decision: st.Decision, Entity: e, Channel: "platform", Target: "platform", Outcome: outcome})
		}
	}
	stop()
	a, stop = launch(t, enforcing(t, dir, s), onlyRespond)
	defer stop()
	within(t, time.Minute, "what failed was not carried out", func() bool {
		return len(s.took("account:acct-0")) == 1 && len(s.took("account:acct-3")) == 1
	})
	cfg := a.Config()
	held := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-2"}
	if err := AskRetry(ctx, a.client, &cfg, held, "ann", "I looked"); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, "what was held was not carried out when a person said so", func() bool { return len(s.took(held.Key())) == 1 })
	for _, none := range []string{"account:acct-1", "account:acct-4"} {
		if got := s.took(none); len(got) != 0 {
			t.Errorf("%s was told %v", none, got)
		}
	}
}

// Whoever owned a partition before and wakes up writes nothing any more.
func TestAFormerOwnerOfWhatIsEnforcedIsFenced(t *testing.T) {
	s := newWebhookServer(t, http.StatusOK)
	a, stop := launch(t, enforcing(t, t.TempDir(), s), Options{Roles: []Role{RoleDetect}})
	defer stop()
	e := &enforcement{client: a.client, prefix: a.cfg.Kafka.Prefix, producer: "holdfast-" + a.install.ID, lanes: a.install.Lanes, log: a.log}
	store := func() *enforcedStore {
		x := &enforcedStore{e: e, from: []kafka.Position{{TopicPartition: kafka.TopicPartition{Topic: e.prefix + string(schemas.TopicDecisions)}}}}
		if err := x.Load(t.Context(), func(int32, *enforce.State) {}); err != nil {
			t.Fatal(err)
		}
		return x
	}
	one := []enforce.Saved{{Key: "account:a", Value: []byte(`{"entity":{"kind":"account","id":"a"},"last":{}}`)}}
	former := store()
	if err := former.Save(t.Context(), 0, one); err != nil {
		t.Fatal(err)
	}
	owner := store()
	if err := former.Save(t.Context(), 0, one); err == nil || !strings.Contains(err.Error(), enforce.ErrLost.Error()) {
		t.Errorf("the former owner wrote: %v", err)
	}
	for range 3 {
		if err := owner.Save(t.Context(), 0, one); err != nil {
			t.Errorf("the owner: %v", err)
		}
	}
}
