package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/alerting/api"
	"holdfast/ingest/clickhouse"
	"holdfast/ingest/history"
	"holdfast/ingest/proof"
	"holdfast/schemas"
)

// apiPast asks the audit store for the API. It connects at the first question, so that a
// store which is away keeps nothing else from working.
type apiPast struct {
	open func() (*clickhouse.Client, error)

	mu    sync.Mutex
	store *clickhouse.Client
	// read runs a person's SQL, as a user who can only read.
	read func(ctx context.Context, sql string, limit int) (api.Table, error)
	// commit puts a scope into the log of proof.
	commit func(ctx context.Context, store *clickhouse.Client, s *proof.Scope, by, why string) (*proof.Run, error)
}

func (a *apiPast) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.store != nil {
		_ = a.store.Close()
		a.store = nil
	}
}

func (a *apiPast) history() (*history.History, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.store == nil {
		c, err := a.open()
		if err != nil {
			return nil, awayFrom(err)
		}
		a.store = c
	}
	return history.New(a.store), nil
}

// awayFrom says that a question was not answered for now.
func awayFrom(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", api.ErrAway, err)
}

// past runs one question.
func past[T any](a *apiPast, f func(*history.History) (T, error)) (T, error) {
	h, err := a.history()
	if err != nil {
		var none T
		return none, err
	}
	v, err := f(h)
	if errors.Is(err, context.Canceled) {
		return v, err
	}
	return v, awayFrom(err)
}

func placeOf(p *api.Place) *history.Place {
	if p == nil {
		return nil
	}
	return &history.Place{When: p.When, Arrival: p.Arrival, Kind: p.Kind, Position: history.Position{LogID: p.LogID, Topic: p.Topic, Partition: p.Partition, Offset: p.Offset}}
}

// entriesOf are entries as the API has them, with a sentence each.
func entriesOf(all []history.Entry, of schemas.Entity) ([]api.Entry, error) {
	out := make([]api.Entry, len(all))
	for i, e := range all {
		x := api.Entry{
			At: e.Time, Found: e.Arrival, Kind: e.Kind, ID: e.ID, Entity: e.Entity, Account: e.Account, Source: e.Source, Origin: e.Origin,
			Late: e.FoundLate(), Text: Describe(e, of), Body: e.Body,
			Place: api.Place{When: e.When(), Arrival: e.Arrival, Kind: e.Kind, LogID: e.LogID, Topic: e.Topic, Partition: e.Partition, Offset: e.Offset},
		}
		if e.Event != nil {
			b, err := json.Marshal(EventFields(e.Event), json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
			if err != nil {
				return nil, err
			}
			x.Body = b
		}
		out[i] = x
	}
	return out, nil
}

// Timeline tells an entity's past.
func (a *apiPast) Timeline(ctx context.Context, e schemas.Entity, q api.Span) ([]api.Entry, error) {
	all, err := past(a, func(h *history.History) ([]history.Entry, error) {
		if q.NoEvents {
			h = h.WithoutEvents()
		}
		if q.NoTrials {
			h = h.WithoutTrials()
		}
		return h.NewestOf(ctx, e, history.TimelineFilter{Since: q.From, Until: q.To, Kinds: q.Kinds, Limit: q.Limit, After: placeOf(q.After)})
	})
	if err != nil {
		return nil, err
	}
	return entriesOf(all, e)
}

// Case gives a case's newest record.
func (a *apiPast) Case(ctx context.Context, id string) (schemas.Case, bool, error) {
	var ok bool
	c, err := past(a, func(h *history.History) (c schemas.Case, err error) {
		c, ok, err = h.Case(ctx, id)
		return c, err
	})
	return c, ok, err
}

// CasesOf lists an entity's cases.
func (a *apiPast) CasesOf(ctx context.Context, e schemas.Entity, limit int) ([]schemas.Case, error) {
	return past(a, func(h *history.History) ([]schemas.Case, error) { return h.CasesOf(ctx, e, limit) })
}

// Decisions gives an entity's decisions by their ids.
func (a *apiPast) Decisions(ctx context.Context, ids []string, e schemas.Entity) ([]schemas.Decision, error) {
	return past(a, func(h *history.History) ([]schemas.Decision, error) { return h.DecisionsByID(ctx, ids, e) })
}

// Signals gives an entity's signals by their ids.
func (a *apiPast) Signals(ctx context.Context, ids []string, e schemas.Entity) ([]schemas.Signal, error) {
	return past(a, func(h *history.History) ([]schemas.Signal, error) { return h.SignalsByID(ctx, ids, e) })
}

// Told gives what followed from decisions.
func (a *apiPast) Told(ctx context.Context, decisions []string, e schemas.Entity) (actions []schemas.Action, notices []schemas.Notice, err error) {
	_, err = past(a, func(h *history.History) (struct{}, error) {
		actions, notices, err = h.Told(ctx, decisions, e)
		return struct{}{}, err
	})
	return actions, notices, err
}

// Reach counts what was reached.
func (a *apiPast) Reach(ctx context.Context, e schemas.Entity, from, to time.Time) (api.Reach, error) {
	r, err := past(a, func(h *history.History) (history.ReachCount, error) { return h.ReachOf(ctx, e, from, to) })
	return api.Reach{
		From: from, To: to, Messages: r.Messages, Recipients: r.Recipients, Distinct: r.Distinct, Lists: r.Lists, Exports: r.Exports,
		Secrets: r.Secrets, Rows: r.Rows, Accounts: r.Account, Subjects: r.Subjects,
	}, err
}

// Touched lists accounts.
func (a *apiPast) Touched(ctx context.Context, e schemas.Entity, q api.Span) ([]api.Touch, error) {
	all, err := past(a, func(h *history.History) ([]history.Touched, error) { return h.TouchedBy(ctx, e, q.From, q.To, q.Limit) })
	out := make([]api.Touch, len(all))
	for i, t := range all {
		out[i] = api.Touch{Account: t.Account, First: t.First.UTC(), Last: t.Last.UTC(), Records: t.Records, Sends: t.Sends, Logins: t.Logins, Failed: t.Failed, Views: t.Views, Secrets: t.Secrets, Rows: t.Rows, Tickets: t.Ticket}
	}
	return out, err
}

// Sources lists addresses.
func (a *apiPast) Sources(ctx context.Context, e schemas.Entity, q api.Span) ([]api.Source, error) {
	all, err := past(a, func(h *history.History) ([]history.SourceOf, error) {
		return h.SourcesOf(ctx, e, q.From, q.To, q.Limit)
	})
	out := make([]api.Source, len(all))
	for i, s := range all {
		out[i] = api.Source{Address: s.Address, First: s.First.UTC(), Last: s.Last.UTC(), Records: s.Records, Recipients: s.Recipients, Logins: s.Logins, Failed: s.Failed, Country: s.Country, Credentials: s.Credentials}
		if s.ASN != 0 {
			out[i].Network = fmt.Sprintf("AS%d", s.ASN)
		}
	}
	return out, err
}

// Credentials lists an account's.
func (a *apiPast) Credentials(ctx context.Context, e schemas.Entity, q api.Span) ([]api.Credential, error) {
	all, err := past(a, func(h *history.History) ([]history.CredentialOf, error) {
		return h.CredentialsOf(ctx, e, q.From, q.To, q.Limit)
	})
	out := make([]api.Credential, len(all))
	for i, c := range all {
		out[i] = api.Credential{ID: c.ID, First: c.First.UTC(), Last: c.Last.UTC(), Sends: c.Sends, Recipients: c.Recipients, Addresses: c.Addresses, Kind: c.Kind, Change: c.Change}
		if !c.Changed.IsZero() {
			out[i].Changed = c.Changed.UTC()
		}
	}
	return out, err
}

// Snapshot gives an account's newest one.
func (a *apiPast) Snapshot(ctx context.Context, e schemas.Entity) (jsontext.Value, error) {
	ev, err := past(a, func(h *history.History) (*schemas.Event, error) { return h.Snapshot(ctx, e) })
	if err != nil || ev == nil {
		return nil, err
	}
	return json.Marshal(EventFields(ev), json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
}

// Volume gives a time series.
func (a *apiPast) Volume(ctx context.Context, e schemas.Entity, from, to time.Time, step time.Duration) ([]api.Bucket, error) {
	all, err := past(a, func(h *history.History) ([]history.StepCount, error) { return h.VolumeOf(ctx, e, from, to, step) })
	out := make([]api.Bucket, len(all))
	for i, s := range all {
		out[i] = api.Bucket(s)
	}
	return out, err
}

// Operators tells what people did.
func (a *apiPast) Operators(ctx context.Context, q api.OperatorsIn, after *api.Place) ([]api.Entry, error) {
	f := history.OperatorFilter{Actor: q.Actor, Act: q.Act, Entity: q.Entity, Since: q.Since, Until: q.Until, Limit: q.Limit, After: placeOf(after)}
	if q.Refused != "" {
		yes := q.Refused == "yes"
		f.Refused = &yes
	}
	all, err := past(a, func(h *history.History) ([]history.Entry, error) { return h.Operators(ctx, f) })
	if err != nil {
		return nil, err
	}
	return entriesOf(all, schemas.Entity{})
}

// Suppressed counts signals.
func (a *apiPast) Suppressed(ctx context.Context, e schemas.Entity, detector string, from, to time.Time) (int64, error) {
	return past(a, func(h *history.History) (int64, error) { return h.Suppressed(ctx, e, detector, from, to) })
}

// Decided counts decisions.
func (a *apiPast) Decided(ctx context.Context, since time.Time) ([]api.PolicyCount, error) {
	all, err := past(a, func(h *history.History) ([]history.DecidedBy, error) { return h.DecidedSince(ctx, since) })
	out := make([]api.PolicyCount, len(all))
	for i, d := range all {
		out[i] = api.PolicyCount{Policy: d.Policy, Version: int(d.Version), Mode: schemas.Mode(d.Mode), Braked: d.Braked, N: d.N}
	}
	return out, err
}

// Known looks for an entity.
func (a *apiPast) Known(ctx context.Context, e schemas.Entity) (bool, error) {
	return past(a, func(h *history.History) (bool, error) { return h.Known(ctx, e) })
}

// Query runs a person's SQL.
func (a *apiPast) Query(ctx context.Context, sql string, limit int) (api.Table, error) {
	if a.read == nil {
		return api.Table{}, fmt.Errorf("%w: no read-only user of it is known: the configuration names its own ClickHouse", api.ErrAway)
	}
	return a.read(ctx, sql, limit)
}
