package app

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"holdfast/alerting/api"
	"holdfast/alerting/enforce"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// The states of a receipt beside those of enforce.Undelivered.
const (
	StateConfirmed = "confirmed"
	StateNone      = "none"
	StateNotTold   = "not told"
	StateOthers    = "not concerned"
)

// Receipts holds a status against what is kept of carrying it out.
func Receipts(st schemas.Status, x *enforce.State) []api.Receipt {
	if st.Status == "review" {
		return []api.Receipt{{State: StateNotTold}}
	}
	if x == nil || x.Last.Decision != st.Decision && (schemas.Status{Episode: st.Episode, Step: st.Step}).Newer(schemas.Status{Episode: x.Last.Episode, Step: x.Last.Step}) {
		return []api.Receipt{{State: enforce.StateWaiting}} // enforcement has not read the decision yet
	}
	if len(x.Receivers) == 0 {
		return []api.Receipt{{State: StateNone}}
	}
	out := []api.Receipt{}
	waits := map[string]enforce.Undelivered{}
	for _, u := range x.Undelivered() {
		waits[u.Receiver] = u
	}
	for _, name := range slices.Sorted(maps.Keys(x.Receivers)) {
		if u, ok := waits[name]; ok {
			r := receiptOf(u)
			if f := x.Receivers[name].Failing; f != nil {
				r.Since = f.Since
			}
			r.Entity, r.Status = schemas.Entity{}, ""
			out = append(out, r)
		} else if c := x.Receivers[name].Confirmed; c != nil && c.Decision == x.Last.Decision {
			out = append(out, api.Receipt{Receiver: name, State: StateConfirmed, At: c.At})
		}
	}
	if len(out) == 0 {
		return []api.Receipt{{State: StateOthers}}
	}
	return out
}

func receiptOf(u enforce.Undelivered) api.Receipt {
	return api.Receipt{Entity: u.Entity, Status: u.Status, Receiver: u.Receiver, State: u.State, Since: u.Since, Attempts: u.Attempts, Error: u.Error, Next: u.Next}
}

// apiReceivers is the live copy of the topic enforced.
type apiReceivers struct {
	client *kafka.Client
	cfg    *config.Config
	status func(schemas.Entity) (schemas.Status, bool)
	log    *slog.Logger

	mu     sync.RWMutex
	states map[string]*enforce.State // by entity key
}

// apply takes a record in; what cannot be read leaves what was known.
func (a *apiReceivers) apply(r kafka.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Value == nil {
		delete(a.states, string(r.Key))
		return
	}
	x, err := enforce.Decode(r.Value)
	if err != nil {
		a.log.Error("what receivers confirmed cannot be read: what was known before it stays", "entity", schemas.Printable(string(r.Key)), "error", err)
		return
	}
	a.states[string(r.Key)] = x
}

// Progress tells how far an entity's status is carried out.
func (a *apiReceivers) Progress(_ context.Context, e schemas.Entity) ([]api.Receipt, error) {
	st, ok := a.status(e)
	if !ok {
		return nil, nil
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return Receipts(st, a.states[e.Key()]), nil
}

// Undelivered lists what receivers have yet to confirm, the oldest first.
func (a *apiReceivers) Undelivered(context.Context) ([]api.Receipt, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []api.Receipt
	for _, s := range a.states {
		for _, u := range s.Undelivered() {
			out = append(out, receiptOf(u))
		}
	}
	slices.SortFunc(out, func(x, y api.Receipt) int {
		return cmp.Or(x.Since.Compare(y.Since), cmp.Compare(x.Entity.Key(), y.Entity.Key()), cmp.Compare(x.Receiver, y.Receiver))
	})
	return out, nil
}

// Retry has receivers told again.
func (a *apiReceivers) Retry(ctx context.Context, e schemas.Entity, p api.Principal, why string) error {
	return AskRetry(ctx, a.client, a.cfg, e, p.Name, why)
}
