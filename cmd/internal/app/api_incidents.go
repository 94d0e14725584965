package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"holdfast/ingest/history"
	"holdfast/ingest/proof"
	"holdfast/schemas"
)

// Scope tells whom an employee or an address reached, and commits that to the log of proof.
func (a *apiPast) Scope(ctx context.Context, e schemas.Entity, from, to time.Time, by, why string) (*schemas.Scope, error) {
	if from.IsZero() {
		from = time.Unix(0, 0)
	}
	return past(a, func(*history.History) (*schemas.Scope, error) {
		a.mu.Lock()
		store := a.store
		a.mu.Unlock()
		found, err := proof.FindScope(ctx, store, e, from, to)
		if err != nil {
			return nil, err
		}
		out := scopeOf(e, found)
		out.Ran, out.By = time.Now().UTC().Truncate(time.Millisecond), by
		run, err := a.commit(ctx, store, found, by, why)
		if err != nil {
			out.NoRun = err.Error()
			return out, nil //nolint:nilerr // the incident says why it is not committed
		}
		out.Run, out.Ran, out.Gaps = run.ID, run.Time, run.Gaps[:min(len(run.Gaps), schemas.MaxCovered)]
		for _, c := range run.Covered[:min(len(run.Covered), schemas.MaxCovered)] {
			out.Covered = append(out.Covered, schemas.Range{Topic: c.Topic, Partition: c.Partition, From: c.From, To: c.To})
		}
		return out, nil
	})
}

// scopeOf is a scope as an incident keeps it: those whose credentials were used come first,
// then those whose secrets were seen.
func scopeOf(e schemas.Entity, s *proof.Scope) *schemas.Scope {
	out := &schemas.Scope{
		Entity: e, From: s.From, To: s.To, Records: s.Records, Rows: s.Rows, Bulk: s.Bulk, BulkRows: s.BulkRows, Blind: s.Blind, BlindRows: s.BlindRows,
		Customers: int64(len(s.Reached)), All: max(s.Accounts, int64(len(s.Reached))), Reached: []schemas.Customer{},
	}
	if out.All > 0 {
		out.Share = float64(out.Customers) / float64(out.All)
	}
	used := map[string]proof.Use{}
	for _, u := range s.Used {
		if first, ok := used[u.Account]; !ok || u.First.Before(first.First) {
			used[u.Account] = u
		}
	}
	out.Used = int64(len(used))
	sum := sha256.New()
	for _, r := range s.Reached { // by their names
		sum.Write([]byte(r.Account + "\n"))
		c := schemas.Customer{Account: r.Account, First: r.First.UTC(), Last: r.Last.UTC(), Records: r.Records, Secret: r.Secret}
		if u, ok := used[r.Account]; ok {
			c.Used, c.From = u.First.UTC(), u.Address
		}
		out.Reached = append(out.Reached, c)
	}
	out.Digest = hex.EncodeToString(sum.Sum(nil))
	grave := func(c *schemas.Customer) int {
		switch {
		case !c.Used.IsZero():
			return 0
		case c.Secret:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out.Reached, func(x, y schemas.Customer) int { return grave(&x) - grave(&y) })
	if out.Cut = len(out.Reached) > schemas.MaxReached; out.Cut {
		out.Reached = out.Reached[:schemas.MaxReached]
	}
	return out
}

// CampaignProgress tells how far credentials are renewed.
func (a *apiPast) CampaignProgress(ctx context.Context, c *schemas.Campaign, limit int) (*schemas.Progress, error) {
	return past(a, func(h *history.History) (*schemas.Progress, error) { return h.CampaignProgress(ctx, c, limit) })
}

// CheckIndicator says why an indicator cannot be looked for.
func (a *apiPast) CheckIndicator(indicator string) error {
	_, _, err := history.ParseIndicator(indicator)
	return err
}

// Hunt looks for indicators.
func (a *apiPast) Hunt(ctx context.Context, indicators []string, from, to time.Time) (*schemas.Hunt, error) {
	return past(a, func(h *history.History) (*schemas.Hunt, error) { return h.Hunt(ctx, indicators, from, to) })
}
