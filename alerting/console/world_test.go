package console_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/alerting/api"
	"holdfast/alerting/console"
	"holdfast/alerting/respond"
	"holdfast/schemas"
)

// world is a console over made-up lanes and history: everything that the service asks for
// is here, and what people do changes it as a lane would.
type world struct {
	t       *testing.T
	service *api.Service
	handler *api.Handler
	server  *httptest.Server
	key     []byte

	mu     sync.Mutex
	each   func(api.Record)
	cases  map[schemas.Entity]*schemas.Case
	status map[schemas.Entity]*schemas.Status
	asked  []schemas.Request
	wrote  []schemas.Operator
	away   bool
	sql    []string
	lane   *respond.Fold // of incidents
	offset int64
	now    time.Time
}

// password is everybody's.
const password = "correct horse battery"

func account(id string) schemas.Entity  { return schemas.Entity{Kind: schemas.KindAccount, ID: id} }
func employee(id string) schemas.Entity { return schemas.Entity{Kind: schemas.KindEmployee, ID: id} }

// newWorld starts a console with the people ada (analyst), lea (lead), vic (viewer), aud
// (auditor), adm (admin) and bob (analyst).
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, cases: map[schemas.Entity]*schemas.Case{}, status: map[schemas.Entity]*schemas.Status{}, now: time.Now().UTC().Truncate(time.Second), key: make([]byte, 32), lane: respond.New(respond.DefaultConfig())}
	w.service = api.New(api.Config{PersonRate: 1e6, AddressRate: 1e6, Password: api.PasswordCost{Time: 1, Memory: 64, Threads: 1}}, api.Deps{
		Requester: w, Journal: w, Feed: w, Store: w, History: w, Incidents: w, Receivers: w, System: w, Key: make([]byte, 32),
	})
	w.story()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.service.Run(ctx) }()
	<-w.service.Ready()
	w.handler = api.NewHandler(w.service, api.HandlerConfig{Done: ctx.Done()})
	mux := http.NewServeMux()
	mux.Handle("/v1/", w.handler)
	mux.Handle("/", console.New(w.service, w.handler, console.Config{Key: w.key}, slog.New(slog.NewTextHandler(t.Output(), nil))))
	w.server = httptest.NewServer(mux)
	t.Cleanup(func() { cancel(); <-done; w.server.CloseClientConnections(); w.server.Close() })
	admin := api.Principal{Name: "holdfast", Role: api.RoleAdmin}
	for name, role := range map[string]api.Role{"ada": api.RoleAnalyst, "bob": api.RoleAnalyst, "lea": api.RoleLead, "vic": api.RoleViewer, "aud": api.RoleAuditor, "adm": api.RoleAdmin} {
		link, err := w.service.AddPerson(ctx, admin, api.NewPerson{Name: name, Role: role, Why: "a test"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.service.UseLink(ctx, api.NewPassword{Link: link.Link, Password: password}, "127.0.0.1", "test"); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) at(before time.Duration) time.Time { return w.now.Add(-before) }

func (w *world) row(before time.Duration, basis schemas.Basis) schemas.Row {
	return schemas.Row{At: w.at(before), Found: w.at(before - 4*time.Second), Basis: basis, Cause: "evt_1"}
}

func (w *world) add(c schemas.Case, status string, verdict schemas.Verdict) {
	c.Version, c.Episode, c.Time = max(c.Version, 1), 1, w.now
	if c.ID == "" {
		c.ID = schemas.DeriveID("case", c.Entity.Key(), "1")
	}
	w.cases[c.Entity] = &c
	w.status[c.Entity] = &schemas.Status{Entity: c.Entity, Status: status, Verdict: verdict, Since: c.Opened, Episode: 1, Step: 1, Case: c.ID, Reason: "Somebody else seems to use your account."}
}

// story is the state at first.
func (w *world) story() {
	min, h := time.Minute, time.Hour
	w.add(schemas.Case{
		Entity: account("acct-0007"), Account: "acct-0007", Stage: schemas.StageContained, Opened: w.at(22 * min), Contained: w.at(22 * min), Due: w.at(-38 * min),
		Policies: []string{"takeover_by_key@3"}, Decisions: []string{"dec_1", "dec_2"}, Usual: 4200,
		Window: schemas.Window{From: w.at(24 * min), To: w.at(22 * min), Confidence: "high"},
		Entry:  []schemas.Trace{{Kind: schemas.TraceCredential, Value: "key-7", Row: w.row(24*min, schemas.BasisObserved)}, {Kind: schemas.TraceAddress, Value: "203.0.113.77", Row: w.row(24*min, schemas.BasisObserved)}, {Kind: schemas.TraceAddress, Value: "203.0.113.78", Row: w.row(23*min, schemas.BasisInferred)}},
		Seen:   []schemas.Seen{{Signal: "sig_1", Detector: "actor", Share: .61, Text: "An address never seen before sends 640 messages in 2 minutes with key-7; 97 % of the recipients are strangers to this account."}, {Signal: "sig_2", Detector: "outcomes", Share: .27, Text: "31 % of what it sent bounced; the account's own share is 1.2 %."}, {Signal: "sig_3", Detector: "source", Share: .12, Text: "The address belongs to a hosting network that no customer of this plan sends from."}},
		Made:   []schemas.Made{{Kind: "api_key", ID: "key-7b", Change: "created", User: "owner@acct-0007.example", Address: "203.0.113.77", Row: w.row(23*min, schemas.BasisObserved)}},
		Holds:  []schemas.Hold{{Verdict: schemas.VerdictSuspend, Owner: "policy:takeover_by_key", Since: w.at(22 * min), Why: "an unknown actor sends with a leaked key", Decision: "dec_1"}},
		Steps: []schemas.Step{
			{ID: "user_password:owner", Kind: schemas.StepPassword, Object: "owner@acct-0007.example", Opened: w.at(22 * min), Proof: &schemas.Proof{What: schemas.ProofReset, Row: w.row(10*min, schemas.BasisObserved)}},
			{ID: "api_key:key-7", Kind: schemas.StepAPIKey, Object: "key-7", Opened: w.at(22 * min), Ignored: "a rotation at 20:11:04 came from 203.0.113.77, an address of this case"},
			{ID: "removal:key-7b", Kind: schemas.StepRemoval, Object: "API key key-7b", Opened: w.at(22 * min)},
			{ID: "sessions:", Kind: schemas.StepSessions, Opened: w.at(22 * min), Proof: &schemas.Proof{What: schemas.ProofEnded, Row: w.row(22*min, schemas.BasisObserved)}},
			{ID: "investigation:", Kind: schemas.StepInvestigation, Opened: w.at(22 * min)},
			{ID: "confirmation:", Kind: schemas.StepConfirmation, Opened: w.at(22 * min)},
		},
		Notes: []schemas.Note{{Text: "Wrote to the customer; their CI log holds the key.", By: "bob", At: w.at(12 * min)}},
	}, "suspended", schemas.VerdictSuspend)
	w.add(schemas.Case{
		Entity: employee("emp-03"), Stage: schemas.StageContained, Opened: w.at(41 * min), Contained: w.at(41 * min), Due: w.at(-19 * min), Owner: "lea", Policies: []string{"insider_reach@2"}, Decisions: []string{"dec_e"},
		Window: schemas.Window{From: w.at(45 * min), To: w.at(41 * min), Confidence: "high"},
		Entry:  []schemas.Trace{{Kind: schemas.TraceAddress, Value: "198.51.100.9", Row: w.row(45*min, schemas.BasisObserved)}},
		Seen:   []schemas.Seen{{Signal: "sig_e", Detector: "reach", Share: 1, Text: "Secrets of 17 customers seen within 4 minutes, none with a ticket; usually 2 an hour."}},
		Holds:  []schemas.Hold{{Verdict: schemas.VerdictSuspend, Owner: "policy:insider_reach", Since: w.at(41 * min), Why: "reads without a ticket", Decision: "dec_e"}},
	}, "suspended", schemas.VerdictSuspend)
	w.add(schemas.Case{
		Entity: account("acct-0021"), Account: "acct-0021", Stage: schemas.StageRecovering, Opened: w.at(5 * h), Contained: w.at(5 * h), Due: w.at(20 * min), Owner: "ada", Verdict: schemas.CaseCompromised, Reason: "key_leaked", Policies: []string{"takeover_by_key@3"}, Decisions: []string{"dec_3"}, Protected: true,
		Window: schemas.Window{From: w.at(5*h + 20*min), To: w.at(5 * h), Confidence: "medium"},
		Entry:  []schemas.Trace{{Kind: schemas.TraceAddress, Value: "203.0.113.77", Row: w.row(5*h, schemas.BasisObserved)}},
		Seen:   []schemas.Seen{{Detector: "fan_out", Share: 1, Text: "120 addresses in 40 seconds send with one key; never more than 2 a day before."}},
		Holds:  []schemas.Hold{{Verdict: schemas.VerdictSuspend, Owner: "person:ada", Since: w.at(5 * h), Why: "a botnet", Decision: "dec_3", Stays: true}},
		Steps:  []schemas.Step{{ID: "api_key:key-21", Kind: schemas.StepAPIKey, Object: "key-21", Proof: &schemas.Proof{What: schemas.ProofRotated, Row: w.row(h, schemas.BasisObserved)}}, {ID: "confirmation:", Kind: schemas.StepConfirmation}},
		Awaits: &schemas.Awaited{Request: schemas.Request{Act: "release", Actor: "ada", Why: "the key is new, and the customer confirmed it by phone", Entity: account("acct-0021")}, Until: w.at(-20 * h)},
	}, "suspended", schemas.VerdictSuspend)
	w.add(schemas.Case{
		Entity: account("acct-0044"), Account: "acct-0044", Stage: schemas.StageOpen, Opened: w.at(70 * min), Due: w.at(-2 * h), Policies: []string{"unusual_volume@5"}, Decisions: []string{"dec_4"},
		Seen: []schemas.Seen{{Detector: "volume", Share: 1, Text: "12,400 recipients in an hour; 3,100 is the most in 90 days."}},
	}, "review", schemas.VerdictReview)
	w.add(schemas.Case{
		Entity: account("acct-0052"), Account: "acct-0052", Stage: schemas.StageProbation, Opened: w.at(50 * h), Contained: w.at(50 * h), Released: w.at(26 * h), Due: w.at(-70 * h), Owner: "bob", Verdict: schemas.CaseCompromised, Reason: "phished", Policies: []string{"takeover@4"}, Decisions: []string{"dec_5"},
		Ramp: &schemas.Ramp{Day: 1, Share: 25, PerDay: 950, Until: w.at(-22 * h)}, Usual: 3800,
		Seen: []schemas.Seen{{Detector: "takeover", Share: 1, Text: "214 wrong passwords, then a right one from the same address; a new key 3 minutes later."}},
	}, "active", schemas.VerdictRelease)
	w.add(schemas.Case{
		Entity: schemas.Entity{Kind: schemas.KindIP, ID: "203.0.113.200"}, Stage: schemas.StageContained, Opened: w.at(3 * h), Contained: w.at(3 * h), Due: w.at(-21 * h), Policies: []string{"spray@1"}, Decisions: []string{"dec_6"},
		Seen: []schemas.Seen{{Detector: "spray", Share: 1, Text: "One password tried at 311 users within 6 minutes."}},
	}, "blocked", schemas.VerdictBlock)
	w.add(schemas.Case{
		Entity: account("acct-0060"), Account: "acct-0060", Stage: schemas.StageClosed, Opened: w.at(90 * h), Closed: w.at(80 * h), Verdict: schemas.CaseExpected, Reason: "new_server", Policies: []string{"unusual_volume@5"}, Decisions: []string{"dec_7"},
		Seen: []schemas.Seen{{Detector: "volume", Share: 1, Text: "A move to a new server: all of it from one new address."}},
	}, "active", schemas.VerdictRelease)
}

// hostile is what an attacker would have pages hold.
const hostile = `"><script>document.title='xss'</script><img src=x onerror="document.title='xss'">{{.}}${7*7}javascript:alert(1)`

// addHostile makes a case in which every field that comes from outside is hostile.
func (w *world) addHostile() schemas.Case {
	row := schemas.Row{At: w.at(time.Hour), Found: w.at(time.Minute), Basis: hostile, Cause: hostile, By: hostile}
	c := schemas.Case{
		Entity: account(hostile), Account: hostile, Stage: schemas.StageContained, Opened: w.at(time.Hour), Version: 1, Policies: []string{hostile + "@1"}, Decisions: []string{"dec_x"},
		Window: schemas.Window{From: w.at(time.Hour), To: w.at(time.Minute), Confidence: hostile},
		Entry:  []schemas.Trace{{Kind: schemas.TraceAddress, Value: hostile, Row: row}, {Kind: schemas.TraceUser, Value: hostile, Row: row}, {Kind: schemas.TraceEmployee, Value: hostile, Row: row}, {Kind: schemas.TraceCredential, Value: hostile, Row: row}},
		Seen:   []schemas.Seen{{Detector: hostile, Share: 1, Text: hostile}}, Why: hostile, By: hostile, Owner: hostile, Tickets: []string{hostile}, Watchers: []string{hostile},
		Made:  []schemas.Made{{Kind: hostile, ID: hostile, Change: hostile, User: hostile, Address: hostile, Row: row}},
		Holds: []schemas.Hold{{Verdict: schemas.VerdictSuspend, Object: hostile, Owner: "policy:" + hostile, Since: w.at(time.Hour), Why: hostile}},
		Steps: []schemas.Step{{ID: "api_key:" + hostile, Kind: schemas.StepAPIKey, Object: hostile, User: hostile, Ignored: hostile}, {ID: "removal:x", Kind: schemas.StepRemoval, Object: hostile, Proof: &schemas.Proof{What: schemas.ProofKept, Text: hostile, Row: row}}},
		Notes: []schemas.Note{{Text: hostile, By: hostile, At: w.at(time.Hour)}}, Links: []schemas.Link{{Case: hostile, Why: hostile, Row: row}}, Incident: hostile,
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(c, "suspended", schemas.VerdictSuspend)
	w.publish(c.Entity)
	return *w.cases[c.Entity]
}

// publish hands an entity's case and status to the copy. w.mu is held.
func (w *world) publish(e schemas.Entity) {
	if w.each == nil {
		return
	}
	c, _ := json.Marshal(w.cases[e])
	s, _ := json.Marshal(w.status[e])
	w.each(api.Record{Topic: schemas.TopicStatus, Key: e.Key(), Value: s})
	if w.cases[e] != nil {
		w.each(api.Record{Topic: schemas.TopicCasebook, Key: e.Key(), Value: c})
	}
}

// Follow hands over the present records.
func (w *world) Follow(ctx context.Context, each func(api.Record), whole func()) error {
	w.mu.Lock()
	w.each = each
	for e := range w.status {
		w.publish(e)
	}
	w.mu.Unlock()
	whole()
	<-ctx.Done()
	return ctx.Err()
}

func (w *world) Sync(context.Context, schemas.Entity) error { return nil }
func (w *world) Put(context.Context, string, []byte) error  { return nil }
func (w *world) Write(_ context.Context, op schemas.Operator) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote = append(w.wrote, op)
	return nil
}

// Ask does what a lane would, as far as pages show it.
func (w *world) Ask(_ context.Context, r schemas.Request) (schemas.Operator, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r)
	e := r.Entity
	if e.Kind == schemas.KindIncident {
		return w.askIncident(r)
	}
	st := w.status[e]
	if st == nil {
		st = &schemas.Status{Entity: e, Status: "active"}
		w.status[e] = st
	}
	c := w.cases[e]
	op := schemas.Operator{ID: schemas.DeriveID("opr", r.ID), Time: time.Now().UTC(), Actor: r.Actor, Act: r.Act, Entity: e, Why: r.Why, Before: st.Status, Item: r.Item, Text: r.Text, From: r.From}
	if c != nil && r.Version != nil && *r.Version != c.Version {
		op.Refused = "it has changed since: look again"
		return op, nil
	}
	switch r.Act {
	case "suspend", "throttle", "block":
		st.Status = map[string]string{"suspend": "suspended", "throttle": "throttled", "block": "blocked"}[r.Act]
		if c != nil {
			c.Stage = schemas.StageContained
			c.Holds = append(c.Holds, schemas.Hold{Verdict: schemas.Verdict(r.Act), Owner: "person:" + r.Actor, Since: r.Time, Why: r.Why})
		}
	case "release":
		st.Status = "active"
		if c != nil {
			c.Holds, c.Stage, c.Released = nil, schemas.StageProbation, r.Time
		}
	case "dismiss":
		st.Status = "active"
		if c != nil {
			c.Stage, c.Closed = schemas.StageClosed, r.Time
		}
	case "assign":
		c.Owner = r.Item
	case "note":
		c.Notes = append(c.Notes, schemas.Note{Text: r.Text, By: r.Actor, At: r.Time})
	case "verdict":
		c.Verdict, c.Reason = r.Verdict, r.Reason
	case "tick", "waive", "keep":
		what := map[string]string{"tick": schemas.ProofAnswered, "waive": schemas.ProofWaived, "keep": schemas.ProofKept}[r.Act]
		for i := range c.Steps {
			if c.Steps[i].ID == r.Item {
				c.Steps[i].Proof = &schemas.Proof{What: what, Text: r.Text + r.Why, Row: schemas.Row{At: r.Time, Found: r.Time, Basis: schemas.BasisSaid, By: r.Actor}}
			}
		}
	case "watch":
		c.Watchers = append(c.Watchers, r.Actor)
	case "unwatch":
		c.Watchers = slices.DeleteFunc(c.Watchers, func(x string) bool { return x == r.Actor })
	case "ticket":
		c.Tickets = append(c.Tickets, r.Item)
	case "ours", "theirs":
		for i := range c.Entry {
			if c.Entry[i].Value == r.Item {
				c.Entry[i].Ours = r.Act == "ours"
			}
		}
	case "merge":
		c.Merged = r.Item
	case "link":
		c.Links = append(c.Links, schemas.Link{Case: r.Item, Why: r.Why, Row: schemas.Row{At: r.Time, By: r.Actor}})
	case "join":
		c.Incident = r.Item
	case "reopen":
		c.Stage, c.Closed = schemas.StageOpen, time.Time{}
	case "protect", "unprotect":
		if c != nil {
			c.Protected = r.Act == "protect"
		}
	case "approve":
		c.Awaits, st.Status, c.Holds, c.Stage = nil, "active", nil, schemas.StageProbation
	case "decline":
		c.Awaits = nil
	}
	st.Step++
	if c != nil {
		c.Version++
		c.By, c.Time = r.Actor, r.Time
		op.Case = c.ID
	}
	op.After = st.Status
	w.publish(e)
	b, _ := json.Marshal(op)
	w.each(api.Record{Topic: schemas.TopicOperator, Key: e.Key(), ID: op.ID, Value: b})
	return op, nil
}

func (w *world) gone() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return fmt.Errorf("%w: a test", api.ErrAway)
	}
	return nil
}

func (w *world) Timeline(_ context.Context, e schemas.Entity, q api.Span) ([]api.Entry, error) {
	if err := w.gone(); err != nil {
		return nil, err
	}
	text := func(s string) string {
		if strings.Contains(e.ID, "script") {
			return hostile
		}
		return s
	}
	all := []api.Entry{
		{At: w.at(22 * time.Minute), Found: w.at(22 * time.Minute), Kind: schemas.KindDecision, ID: "dec_1", Entity: e.Key(), Text: text("SUSPEND by policy takeover_by_key v3, risk 98 %: an unknown actor sends with key-7")},
		{At: w.at(22*time.Minute + 3*time.Second), Found: w.at(22 * time.Minute), Kind: schemas.KindSignal, ID: "sig_1", Entity: e.Key(), Text: text("actor (volume, critical): 640 messages in 2 minutes from 203.0.113.77, 97 % strangers")},
		{At: w.at(21 * time.Minute), Found: w.at(21 * time.Minute), Kind: schemas.KindAction, ID: "act_1", Entity: e.Key(), Text: text("suspend at https://platform.example/hook done after 1 try")},
		{At: w.at(21 * time.Minute), Found: w.at(21 * time.Minute), Kind: schemas.KindNotice, ID: "not_1", Entity: e.Key(), Text: text("to owner@acct-0007.example (customer, smtp) sent: Sending from acct-0007 was stopped")},
	}
	if !q.NoEvents {
		all = append(all, api.Entry{At: w.at(24 * time.Minute), Found: w.at(20 * time.Minute), Kind: schemas.KindEvent, ID: "evt_1", Entity: e.Key(), Text: text("sends to 10 recipients with key-7 from 203.0.113.77 (arrived 4m later)"), Body: jsontext.Value(`{}`)})
	}
	return all, nil
}
func (w *world) Case(context.Context, string) (schemas.Case, bool, error) {
	return schemas.Case{}, false, w.gone()
}
func (w *world) CasesOf(_ context.Context, e schemas.Entity, _ int) ([]schemas.Case, error) {
	return []schemas.Case{{ID: "case_old", Entity: e, Stage: schemas.StageClosed, Opened: w.at(700 * time.Hour), Seen: []schemas.Seen{{Share: 1, Text: "A campaign twice as large as any before."}}}}, w.gone()
}
func (w *world) Decisions(_ context.Context, ids []string, e schemas.Entity) ([]schemas.Decision, error) {
	var out []schemas.Decision
	for _, id := range ids {
		reason := "an unknown actor sends with key-7: volume, strangers and bounces together"
		if strings.Contains(e.ID, "script") {
			reason = hostile
		}
		out = append(out, schemas.Decision{ID: id, Time: w.at(22 * time.Minute), Entity: e, Verdict: schemas.VerdictSuspend, Proposed: schemas.VerdictSuspend, Policy: "takeover_by_key", PolicyVersion: 3, Mode: schemas.ModeLive, Score: .98, Signals: []string{"sig_1", "sig_2"}, Shares: []float64{.7, .3}, Reason: reason})
	}
	return out, w.gone()
}
func (w *world) Signals(_ context.Context, ids []string, e schemas.Entity) ([]schemas.Signal, error) {
	var out []schemas.Signal
	for _, id := range ids {
		s := schemas.Signal{ID: id, Time: w.at(22 * time.Minute), Detector: "actor", Family: schemas.FamilyVolume, Severity: schemas.SeverityCritical, Technique: "T1078", Address: "203.0.113.77", Entity: e,
			Evidence: schemas.Evidence{Observed: 640, Expected: 12, Threshold: 140, Unit: "messages", Window: "5m0s", Text: "640 messages from an address never seen before"}}
		if strings.Contains(e.ID, "script") {
			s.Detector, s.Technique, s.Address, s.Evidence.Text, s.Evidence.Unit = hostile, hostile, hostile, hostile, hostile
		}
		out = append(out, s)
	}
	return out, w.gone()
}
func (w *world) Told(_ context.Context, _ []string, e schemas.Entity) ([]schemas.Action, []schemas.Notice, error) {
	a := schemas.Action{ID: "act_1", Time: w.at(21 * time.Minute), Entity: e, Verdict: schemas.VerdictSuspend, Channel: "webhook", Target: "platform.example", Outcome: "done", Attempts: 1}
	n := schemas.Notice{ID: "not_1", Time: w.at(21 * time.Minute), Entity: e, Audience: "customer", Channel: "smtp", To: "owner@acct-0007.example", Subject: "Sending from acct-0007 was stopped", Body: "Somebody else seems to use your account.\nReplace your keys.", Outcome: "sent"}
	if strings.Contains(e.ID, "script") {
		a.Channel, a.Target, a.Detail, n.To, n.Subject, n.Body, n.Detail = hostile, hostile, hostile, hostile, hostile, hostile, hostile
	}
	return []schemas.Action{a}, []schemas.Notice{n}, w.gone()
}
func (w *world) Reach(_ context.Context, e schemas.Entity, from, to time.Time) (api.Reach, error) {
	r := api.Reach{From: from, To: to, Messages: 640, Recipients: 6400, Distinct: 6377, Subjects: []string{"Your parcel is waiting", "Invoice overdue"}}
	if e.Kind == schemas.KindEmployee {
		r = api.Reach{From: from, To: to, Accounts: 17, Secrets: 17, Lists: 2, Rows: 340}
	}
	if strings.Contains(e.ID, "script") {
		r.Subjects = []string{hostile}
	}
	return r, w.gone()
}
func (w *world) Touched(_ context.Context, e schemas.Entity, _ api.Span) ([]api.Touch, error) {
	var out []api.Touch
	for i := range 17 {
		out = append(out, api.Touch{Account: fmt.Sprintf("acct-%04d", 7+14*i), First: w.at(45 * time.Minute), Last: w.at(42 * time.Minute), Records: int64(40 - i), Sends: int64(4000 - 200*i), Logins: int64(i % 3), Views: 3, Secrets: 1, Rows: int64(20 * (i % 4))})
	}
	out = append(out, api.Touch{Account: `=HYPERLINK("http://evil")`, First: w.at(time.Hour), Last: w.at(time.Hour), Records: 1}, api.Touch{Account: hostile, First: w.at(time.Hour), Last: w.at(time.Hour), Records: 1})
	return out, w.gone()
}
func (w *world) Sources(_ context.Context, _ schemas.Entity, _ api.Span) ([]api.Source, error) {
	return []api.Source{
		{Address: "198.51.100.20", First: w.at(480 * time.Hour), Last: w.at(30 * time.Minute), Records: 8120, Recipients: 91000, Logins: 41, Country: "DE", Network: "AS3320", Credentials: []string{"key-7"}},
		{Address: "203.0.113.77", First: w.at(24 * time.Minute), Last: w.at(22 * time.Minute), Records: 640, Recipients: 6400, Country: "NL", Network: "AS60781", Credentials: []string{"key-7", hostile}},
	}, w.gone()
}
func (w *world) Credentials(_ context.Context, _ schemas.Entity, _ api.Span) ([]api.Credential, error) {
	return []api.Credential{{ID: "key-7", First: w.at(480 * time.Hour), Last: w.at(22 * time.Minute), Sends: 8700, Recipients: 97400, Addresses: 3, Kind: "api_key", Change: "created", Changed: w.at(2000 * time.Hour)}, {ID: hostile, First: w.at(time.Hour), Last: w.at(time.Hour)}}, w.gone()
}
func (w *world) Snapshot(_ context.Context, e schemas.Entity) (jsontext.Value, error) {
	b, _ := json.Marshal(map[string]any{"account": e.ID, "plan": "business", "status": "active", "created": "2024-03-01T00:00:00Z", "users": []string{"owner@acct-0007.example", hostile}, "domains": []string{"acct-0007.example"}, "credentials": []any{map[string]string{"id": "key-7", "kind": "api_key"}}, "contacts": []any{map[string]string{"email": "owner@acct-0007.example", "role": "owner"}}})
	return b, w.gone()
}
func (w *world) Volume(_ context.Context, _ schemas.Entity, from, to time.Time, step time.Duration) ([]api.Bucket, error) {
	var out []api.Bucket
	for t := from.Truncate(step); t.Before(to); t = t.Add(step) {
		h := t.Hour()
		n := int64(0)
		if h >= 6 && h < 20 {
			n = int64(120 + 30*(h%5) + int(t.Unix()/86400%3)*17)
		}
		n = n * int64(step) / int64(time.Hour)
		if t.Add(step).After(w.at(24*time.Minute)) && t.Before(w.at(22*time.Minute)) {
			n += 6400
		}
		if n > 0 {
			out = append(out, api.Bucket{At: t, Recipients: n, Messages: n, Bounces: n / 50})
		}
	}
	return out, w.gone()
}
func (w *world) Operators(_ context.Context, q api.OperatorsIn, _ *api.Place) ([]api.Entry, error) {
	var out []api.Entry
	w.mu.Lock()
	for i, op := range w.wrote {
		if q.Actor != "" && op.Actor != q.Actor {
			continue
		}
		b, _ := json.Marshal(op)
		out = append(out, api.Entry{At: op.Time, Found: op.Time, Kind: schemas.KindOperator, ID: op.ID, Entity: op.Entity.Key(), Text: fmt.Sprintf("%s: %s %s", op.Actor, op.Act, op.Why), Body: b, Place: api.Place{Offset: int64(i)}})
	}
	w.mu.Unlock()
	slices.Reverse(out)
	return out[:min(len(out), q.Limit)], w.gone()
}
func (w *world) Suppressed(context.Context, schemas.Entity, string, time.Time, time.Time) (int64, error) {
	return 12, w.gone()
}
func (w *world) Decided(context.Context, time.Time) ([]api.PolicyCount, error) {
	return []api.PolicyCount{{Policy: "takeover_by_key", Version: 3, Mode: schemas.ModeLive, N: 214}, {Policy: "unusual_volume", Version: 5, Mode: schemas.ModeShadow, N: 19}}, w.gone()
}
func (w *world) Known(_ context.Context, e schemas.Entity) (bool, error) {
	return !strings.Contains(e.ID, "nobody") && !(e.Kind == schemas.KindAccount && strings.HasPrefix(e.ID, "emp-")), w.gone()
}
func (w *world) Query(_ context.Context, sql string, limit int) (api.Table, error) {
	w.mu.Lock()
	w.sql = append(w.sql, sql)
	w.mu.Unlock()
	if strings.Contains(sql, "toStartOf") {
		out := api.Table{Columns: []string{"at", "n"}, Types: []string{"UInt32", "UInt64"}, Took: .03}
		if strings.Contains(sql, "n_before") {
			for i := range 24 {
				at := w.at(time.Duration(7*24+24-i) * time.Hour).Truncate(time.Hour).Unix()
				out.Rows = append(out.Rows, []jsontext.Value{jsontext.Value(fmt.Sprint(at)), jsontext.Value("0"), jsontext.Value(fmt.Sprint(7001 + i))})
			}
		}
		for i := range 24 {
			out.Rows = append(out.Rows, []jsontext.Value{jsontext.Value(fmt.Sprint(w.at(time.Duration(24-i) * time.Hour).Truncate(time.Hour).Unix())), jsontext.Value(fmt.Sprint(40 + i*i))})
		}
		return out, w.gone()
	}
	b, _ := json.Marshal(hostile)
	return api.Table{Columns: []string{"key", "n"}, Types: []string{"String", "UInt64"}, Rows: [][]jsontext.Value{{jsontext.Value(`"acct-0007"`), jsontext.Value("640")}, {b, jsontext.Value("3")}, {jsontext.Value(`"=1+1"`), jsontext.Value("1")}}, Took: .02}, w.gone()
}
func (w *world) Progress(_ context.Context, e schemas.Entity) ([]api.Receipt, error) {
	if e == account("acct-0021") {
		return []api.Receipt{{Receiver: "webhook", State: "failing", Since: w.at(time.Hour), Attempts: 9, Error: "503 Service Unavailable"}}, nil
	}
	return []api.Receipt{{Receiver: "webhook", State: "confirmed", At: w.at(21 * time.Minute)}}, nil
}
func (w *world) Undelivered(context.Context) ([]api.Receipt, error) {
	return []api.Receipt{{Entity: account("acct-0021"), Status: "suspended", Receiver: "webhook", State: "failing", Since: w.at(time.Hour), Attempts: 9, Error: "503 Service Unavailable", Next: w.at(-time.Minute)}}, nil
}
func (w *world) Retry(context.Context, schemas.Entity, api.Principal, string) error { return nil }
func (w *world) Policies(context.Context) ([]api.Policy, error) {
	return []api.Policy{{Name: "takeover_by_key", Version: 3, Mode: schemas.ModeLive, Entity: schemas.KindAccount, Verdict: schemas.VerdictSuspend, When: "certain(exposed_key) or risk > 0.95", From: w.at(300 * time.Hour)}, {Name: "unusual_volume", Version: 5, Mode: schemas.ModeShadow, Entity: schemas.KindAccount, Verdict: schemas.VerdictReview, From: w.at(100 * time.Hour)}}, nil
}
func (w *world) Allowed(context.Context) ([]api.Allow, error) {
	return []api.Allow{{Entity: account("acct-0012"), Detector: "volume", Since: w.at(30 * time.Hour), Until: w.at(-90 * time.Hour), By: "policy file", Why: "their yearly campaign", From: "file"}}, nil
}
func (w *world) Shared(context.Context, schemas.Entity) string { return "" }

func (w *world) Brake(context.Context) (api.Brake, error) {
	return api.Brake{Known: true, Tripped: true, Since: w.at(9 * time.Minute), Stops: 21, Waiting: 4}, nil
}
func (w *world) About(context.Context) (api.About, error) {
	return api.About{Version: "test", Started: w.at(50 * time.Hour), Roles: []string{"intake", "detect", "respond", "record", "serve"}, Store: true, Lag: map[string]int64{"detect": 0, "respond": 0, "record": 1312}, Troubles: []string{"webhook: 1 status is not confirmed since 1 h"}}, nil
}
