package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// cheap makes hashing cost nothing in tests.
var cheap = PasswordCost{Time: 1, Memory: 8, Threads: 1}

// world is everything around a service, in memory. Its lane keeps cases by version, as an
// entity's own does.
type world struct {
	t       testing.TB
	service *Service
	handler *Handler

	mu       sync.Mutex
	clock    time.Time
	asked    []schemas.Request
	written  []schemas.Operator
	cases    map[string]schemas.Case
	statuses map[string]schemas.Status
	people   map[string][]byte // the topic people
	away     error             // what the log answers
	hold     chan struct{}     // the lane waits for it
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, clock: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), cases: map[string]schemas.Case{}, statuses: map[string]schemas.Status{}, people: map[string][]byte{}}
	w.start()
	return w
}

// start makes the service anew, over what the topics hold.
func (w *world) start() {
	w.service = New(Config{Password: cheap, PersonRate: 1e6, AddressRate: 1e6}, Deps{
		Requester: w, Journal: w, Feed: w, Store: w, History: past{}, Receivers: receivers{}, System: system{}, Key: make([]byte, 32), Now: w.now,
	})
	w.handler = NewHandler(w.service, HandlerConfig{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.service.Run(ctx) }()
	<-w.service.Ready()
	w.t.Cleanup(func() { cancel(); <-done })
}

func (w *world) now() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.clock }

func (w *world) pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.clock = w.clock.Add(d) }

// Follow hands over the present records.
func (w *world) Follow(ctx context.Context, each func(Record), whole func()) error {
	w.mu.Lock()
	var all []Record
	for k, v := range w.people {
		all = append(all, Record{Topic: schemas.TopicPeople, Key: k, Value: v})
	}
	for _, op := range w.written {
		b, _ := json.Marshal(op)
		all = append(all, Record{Topic: schemas.TopicOperator, Key: op.Entity.Key(), Value: b})
	}
	for k, c := range w.cases {
		b, _ := json.Marshal(c)
		all = append(all, Record{Topic: schemas.TopicCasebook, Key: k, Value: b})
	}
	w.mu.Unlock()
	for _, r := range all {
		each(r)
	}
	whole()
	<-ctx.Done()
	return ctx.Err()
}

func (w *world) Sync(context.Context, schemas.Entity) error { return nil }

func (w *world) Put(_ context.Context, key string, value []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away != nil {
		return w.away
	}
	if value == nil {
		delete(w.people, key)
	} else {
		w.people[key] = bytes.Clone(value)
	}
	return nil
}

func (w *world) Write(_ context.Context, op schemas.Operator) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away == nil {
		w.written = append(w.written, op)
	}
	return w.away
}

// Ask is the lane: it holds the version against the case's and remembers what it was asked.
func (w *world) Ask(_ context.Context, r schemas.Request) (schemas.Operator, error) {
	w.mu.Lock()
	hold := w.hold
	w.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.mu.Lock()
	w.asked = append(w.asked, r)
	key := r.Entity.Key()
	c, has := w.cases[key]
	st := w.statuses[key]
	op := schemas.Operator{ID: schemas.DeriveID("opr", r.ID), Time: r.Time, Actor: r.Actor, Act: r.Act, Entity: r.Entity, Why: r.Why, Address: r.Address, Before: st.Status, Item: r.Item, Second: r.Second}
	switch {
	case r.Version != nil && has && *r.Version != c.Version:
		op.Refused = fmt.Sprintf("it has changed since: the case is at version %d now: look again", c.Version)
	case has && c.Protected && r.Second == "" && r.Act == "release":
		op.Awaits = true
	default:
		if word := map[string]string{"suspend": "suspended", "release": "active", "block": "blocked"}[r.Act]; word != "" {
			st = schemas.Status{Entity: r.Entity, Status: word, Episode: st.Episode, Step: st.Step + 1, By: r.Actor, Since: r.Time}
			w.statuses[key] = st
		}
		if has {
			c.Version, c.Time, c.By = c.Version+1, r.Time, r.Actor
			if r.Act == "assign" {
				c.Owner = r.Item
			}
			w.cases[key] = c
		}
	}
	op.After = st.Status
	w.written = append(w.written, op)
	w.mu.Unlock()
	apply := func(t schemas.Topic, v any) {
		b, err := json.Marshal(v)
		if err == nil {
			err = w.service.book.Apply(Record{Topic: t, Key: key, Value: b})
		}
		if err != nil {
			w.t.Error(err)
		}
	}
	if has {
		apply(schemas.TopicCasebook, c)
	}
	if st.Status != "" {
		apply(schemas.TopicStatus, st)
	}
	apply(schemas.TopicOperator, op)
	return op, nil
}

// open puts a case there.
func (w *world) open(account string, change ...func(*schemas.Case)) schemas.Case {
	e := schemas.Entity{Kind: schemas.KindAccount, ID: account}
	c := schemas.Case{ID: schemas.DeriveID("case", e.Key(), "1"), Entity: e, Account: account, Version: 1, Stage: schemas.StageContained, Opened: w.now(), Time: w.now(), Due: w.now().Add(time.Hour), Policies: []string{"account-certain@1"}}
	for _, f := range change {
		f(&c)
	}
	w.mu.Lock()
	w.cases[e.Key()] = c
	w.mu.Unlock()
	b, err := json.Marshal(c)
	if err == nil {
		err = w.service.book.Apply(Record{Topic: schemas.TopicCasebook, Key: e.Key(), Value: b})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

const goodPasswordText = "correct horse battery"

// add makes a person with a password, and a token of theirs.
func (w *world) add(name string, role Role) (token string) {
	w.t.Helper()
	ctx, root := context.Background(), Principal{Name: "root", Role: RoleAdmin}
	link, err := w.service.AddPerson(ctx, root, NewPerson{Name: name, Role: role, Why: "a test"})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.service.UseLink(ctx, NewPassword{link.Link, goodPasswordText}, "192.0.2.1", "test"); err != nil {
		w.t.Fatal(err)
	}
	t, err := w.service.MakeToken(ctx, root, NewToken{Person: name, Name: "a test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return t.Secret
}

// do sends a request and gives the answer; a body that is no string is sent as JSON.
func (w *world) do(method, path string, body any, headers ...string) *httptest.ResponseRecorder {
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = bytes.NewReader([]byte(b))
	default:
		x, err := json.Marshal(b, json.Deterministic(true))
		if err != nil {
			w.t.Fatal(err)
		}
		in = bytes.NewReader(x)
	}
	r := httptest.NewRequest(method, path, in)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

func bearerOf(token string) []string { return []string{"Authorization", "Bearer " + token} }

// asks counts what reached the lane.
func (w *world) asks() int { w.mu.Lock(); defer w.mu.Unlock(); return len(w.asked) }

// wrote reports whether there is an operator record for which f holds.
func (w *world) wrote(f func(schemas.Operator) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.written, f)
}

func codeOf(t testing.TB, r *httptest.ResponseRecorder) string {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil {
		t.Fatalf("no problem: %d %s", r.Code, r.Body)
	}
	if p.Status != r.Code || r.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("a problem of status %d came as %d, %s", p.Status, r.Code, r.Header().Get("Content-Type"))
	}
	return p.Code
}

func into[T any](t testing.TB, r *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if r.Code >= 300 {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v", r.Body, err)
	}
	return v
}

// past is an audit store that knows of everybody and holds nothing.
type past struct{}

func (past) Timeline(_ context.Context, e schemas.Entity, q Span) ([]Entry, error) {
	var out []Entry
	for i := range 500 {
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(-time.Duration(i) * time.Second)
		if q.After == nil || at.Before(q.After.When) {
			out = append(out, Entry{At: at, Found: at, Kind: schemas.KindEvent, ID: fmt.Sprint("e", i), Entity: e.Key(), Body: jsontext.Value("{}"), Place: Place{When: at}})
		}
	}
	return out[:min(len(out), q.Limit)], nil
}
func (past) Case(context.Context, string) (schemas.Case, bool, error) {
	return schemas.Case{}, false, nil
}
func (past) CasesOf(context.Context, schemas.Entity, int) ([]schemas.Case, error) { return nil, nil }
func (past) Decisions(context.Context, []string, schemas.Entity) ([]schemas.Decision, error) {
	return []schemas.Decision{}, nil
}
func (past) Signals(context.Context, []string, schemas.Entity) ([]schemas.Signal, error) {
	return []schemas.Signal{}, nil
}
func (past) Told(context.Context, []string, schemas.Entity) ([]schemas.Action, []schemas.Notice, error) {
	return nil, nil, nil
}
func (past) Reach(_ context.Context, _ schemas.Entity, from, to time.Time) (Reach, error) {
	return Reach{From: from, To: to}, nil
}
func (past) Touched(context.Context, schemas.Entity, Span) ([]Touch, error) {
	return []Touch{{Account: "acct-1"}}, nil
}
func (past) Sources(context.Context, schemas.Entity, Span) ([]Source, error) { return nil, nil }
func (past) Credentials(context.Context, schemas.Entity, Span) ([]Credential, error) {
	return nil, nil
}
func (past) Snapshot(context.Context, schemas.Entity) (jsontext.Value, error) {
	return jsontext.Value("{}"), nil
}
func (past) Volume(context.Context, schemas.Entity, time.Time, time.Time, time.Duration) ([]Bucket, error) {
	return nil, nil
}
func (past) Operators(context.Context, OperatorsIn, *Place) ([]Entry, error) { return nil, nil }
func (past) Suppressed(context.Context, schemas.Entity, string, time.Time, time.Time) (int64, error) {
	return 7, nil
}
func (past) Decided(context.Context, time.Time) ([]PolicyCount, error) {
	return []PolicyCount{{Policy: "account-certain", Version: 1, Mode: schemas.ModeLive, N: 9}}, nil
}
func (past) Known(_ context.Context, e schemas.Entity) (bool, error) { return e.ID != "nobody", nil }
func (past) Query(context.Context, string, int) (Table, error)       { return Table{}, nil }

type receivers struct{}

func (receivers) Progress(context.Context, schemas.Entity) ([]Receipt, error)    { return nil, nil }
func (receivers) Undelivered(context.Context) ([]Receipt, error)                 { return nil, nil }
func (receivers) Retry(context.Context, schemas.Entity, Principal, string) error { return nil }

type system struct{}

func (system) Policies(context.Context) ([]Policy, error) {
	return []Policy{{Name: "account-certain", Version: 1}}, nil
}
func (system) Allowed(context.Context) ([]Allow, error) { return nil, nil }
func (system) Shared(_ context.Context, e schemas.Entity) string {
	return map[string]string{"10.0.0.1": "a private address"}[e.ID]
}
func (system) Brake(context.Context) (Brake, error) { return Brake{Known: true}, nil }
func (system) About(context.Context) (About, error) { return About{Version: "test"}, nil }
