package enforce_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/alerting/decision"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// desk is an operators' channel that keeps what it is sent, and one to customers.
type desk struct {
	name      string
	customers bool
	mu        sync.Mutex
	got       []notify.Message
	after     func(n int) // called once a message was taken
}

func (d *desk) Name() string { return d.name }

func (d *desk) Audiences() []notify.Address {
	if d.customers {
		return nil
	}
	return []notify.Address{{Audience: notify.AudienceOperator, To: d.name}}
}

func (d *desk) Customers() bool { return d.customers }

func (d *desk) Send(_ context.Context, m notify.Message) (bool, error) {
	d.mu.Lock()
	d.got = append(d.got, m)
	n := len(d.got)
	d.mu.Unlock()
	if d.after != nil {
		d.after(n)
	}
	return false, nil
}

func (d *desk) whats() string {
	var out []string
	for _, m := range d.got {
		if len(m.Parts) > 0 {
			out = append(out, fmt.Sprintf("%d cases", len(m.Parts)))
		} else {
			out = append(out, m.Decision.Entity.ID+" "+string(m.Occasion.What))
		}
	}
	return strings.Join(out, ", ")
}

// verdict is a decision about an account.
func verdict(account string, v schemas.Verdict, status string, step int) *decision.Record {
	e := schemas.Entity{Kind: schemas.KindAccount, ID: account}
	return &decision.Record{
		Decision: schemas.Decision{
			ID: schemas.DeriveID("dec", account, string(v), fmt.Sprint(step)), Time: time.Now(), Arrival: time.Now(), Entity: e, Account: account, Verdict: v, Proposed: v,
			Policy: "two", Mode: schemas.ModeLive, Episode: 1, NoticeReason: "We saw mail.",
		},
		Status:   &schemas.Status{Entity: e, Status: status, Episode: 1, Step: step},
		Contacts: []schemas.Contact{{Email: "jo@" + account + ".example"}},
	}
}

func waitingWorld(channels ...*desk) *world {
	w := newWorld()
	w.desk = notify.Desk{Wait: 2 * time.Minute, CustomerWait: 5 * time.Minute, Spree: notify.Spree{Alone: 3, Quiet: notify.Span(10 * time.Minute)}}
	for _, c := range channels {
		w.notifiers = append(w.notifiers, c)
	}
	return w
}

// A review, a throttle and the stop that follows within minutes are one message to operators
// and one to the customer.
func TestWhatFollowsAtOnceIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ops, mail := &desk{name: "ops"}, &desk{name: "mail", customers: true}
		w := waitingWorld(ops, mail)
		w.run(t, func() {
			w.add(verdict("a", schemas.VerdictReview, "review", 0))
			time.Sleep(time.Second)
			w.add(verdict("a", schemas.VerdictThrottle, "throttled", 1))
			time.Sleep(85 * time.Second)
			w.add(verdict("a", schemas.VerdictSuspend, "suspended", 2))
			w.add(verdict("b", schemas.VerdictThrottle, "throttled", 0))
			time.Sleep(time.Hour)
		})
		if got := ops.whats(); got != "a stopped, b slowed" {
			t.Errorf("operators: %s", got)
		}
		if got := mail.whats(); got != "a stopped, b slowed" {
			t.Errorf("customers: %s", got)
		}
		superseded := 0
		for _, n := range w.notices {
			if n.Outcome == "superseded" {
				superseded++
			}
		}
		if superseded != 3 { // two to operators, one to the customer
			t.Errorf("%d of %d superseded", superseded, len(w.notices))
		}
	})
}

// Who was never told of a limit hears nothing of its end.
func TestTheEndOfWhatNobodyHeardOfIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mail := &desk{name: "mail", customers: true}
		w := waitingWorld(mail)
		w.run(t, func() {
			w.add(verdict("a", schemas.VerdictThrottle, "throttled", 0))
			time.Sleep(time.Minute)
			w.add(verdict("a", schemas.VerdictRelease, "active", 1))
			time.Sleep(time.Hour)
		})
		if len(mail.got) != 0 || len(w.notices) != 2 {
			t.Errorf("%s, %d notices", mail.whats(), len(w.notices))
		}
	})
}

// Five hundred accounts at once are a handful of messages, and each account is in one.
func TestASpreeIsNotFiveHundredPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ops := &desk{name: "ops"}
		w := waitingWorld(ops)
		w.run(t, func() {
			for i := range 500 {
				w.add(verdict(fmt.Sprintf("acct-%03d", i), schemas.VerdictSuspend, "suspended", 0))
				time.Sleep(200 * time.Millisecond)
			}
			time.Sleep(time.Hour)
			w.add(verdict("later", schemas.VerdictSuspend, "suspended", 0))
			time.Sleep(time.Minute)
		})
		if n := len(ops.got); n != 3+2+1 {
			t.Errorf("%d messages: %s", n, ops.whats())
		}
		told := map[string]int{}
		for _, m := range ops.got {
			if len(m.Parts) == 0 {
				told[m.Decision.Entity.ID]++
			}
			for _, p := range m.Parts {
				told[p.Decision.Entity.ID]++
			}
		}
		for account, n := range told {
			if n != 1 {
				t.Errorf("%s is told %d times", account, n)
			}
		}
		if len(told) != 501 || told["later"] != 1 || len(w.notices) != 501 {
			t.Errorf("%d accounts, %d notices", len(told), len(w.notices))
		}
	})
}

// A process that dies between a message about several and its record sends the same message
// under the same id, whatever came since; then the rest. It still knows of the spree.
func TestAMessageAboutSeveralIsTheSameAfterAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, kill := context.WithCancel(t.Context())
		ops := &desk{name: "ops"}
		w := waitingWorld(ops)
		ops.after = func(n int) {
			if len(ops.got[n-1].Parts) > 0 {
				w.mu.Lock()
				w.dead = true // the receiver took it, and nobody writes it down
				w.mu.Unlock()
				kill()
			}
		}
		for i := range 20 {
			w.add(verdict(fmt.Sprintf("acct-%02d", i), schemas.VerdictSuspend, "suspended", 0))
		}
		w.during(t, ctx, func() { <-ctx.Done() })
		ops.after, w.dead = nil, false
		if len(w.notices) >= 20 {
			t.Fatalf("%d notices are written down: nothing was cut", len(w.notices))
		}
		for i := range 5 {
			w.add(verdict(fmt.Sprintf("more-%02d", i), schemas.VerdictSuspend, "suspended", 0))
		}
		w.pass(t, time.Hour)
		var many []notify.Message
		for _, m := range ops.got {
			if len(m.Parts) > 0 {
				many = append(many, m)
			}
		}
		if len(many) != 3 || many[0].ID != many[1].ID || len(many[0].Parts) != len(many[1].Parts) || many[2].ID == many[0].ID || len(many[2].Parts) != 5 {
			t.Errorf("%s", ops.whats())
		}
		if len(w.notices) != 25 {
			t.Errorf("%d notices", len(w.notices))
		}
	})
}

// A letter that waits does so over a restart, and is sent once.
func TestWaitingOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ops := &desk{name: "ops"}
		w := waitingWorld(ops)
		w.add(verdict("a", schemas.VerdictThrottle, "throttled", 0))
		for range 5 {
			w.pass(t, 20*time.Second)
		}
		if len(ops.got) != 0 {
			t.Errorf("after 100 s: %s", ops.whats())
		}
		w.pass(t, time.Minute)
		w.pass(t, time.Minute)
		if ops.whats() != "a slowed" {
			t.Errorf("%s", ops.whats())
		}
	})
}

// room is a channel that names messages, as Slack does.
type room struct {
	desk
	threads []string
}

func (r *room) SendIn(ctx context.Context, m notify.Message) (string, bool, error) {
	r.mu.Lock()
	r.threads = append(r.threads, m.Thread)
	ref := fmt.Sprintf("17.%06d", len(r.threads))
	r.mu.Unlock()
	_, err := r.Send(ctx, m)
	return ref, false, err
}

// What follows in a case names its first message, also in another process.
func TestThreadsOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slack := &room{desk: desk{name: "slack"}}
		w := waitingWorld()
		w.notifiers = append(w.notifiers, slack)
		w.add(verdict("a", schemas.VerdictSuspend, "suspended", 0), verdict("b", schemas.VerdictSuspend, "suspended", 0))
		w.pass(t, time.Minute)
		release := verdict("a", schemas.VerdictRelease, "active", 1)
		w.add(release)
		w.pass(t, time.Minute)
		if got := strings.Join(slack.threads, ","); got != ",,17.000001" && got != ",,17.000002" || slack.got[2].Occasion.What != notify.Released {
			t.Errorf("threads %q: %s", got, slack.whats())
		}
		first := map[string]string{slack.got[0].Decision.Entity.ID: "17.000001", slack.got[1].Decision.Entity.ID: "17.000002"}
		if slack.threads[2] != first["a"] {
			t.Errorf("the release of a stands below %s", slack.threads[2])
		}
	})
}
