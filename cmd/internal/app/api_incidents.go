package app

import (
	"context"
	"time"

	"holdfast/ingest/history"
	"holdfast/schemas"
)

// Scope tells what an employee reached.
func (a *apiPast) Scope(ctx context.Context, employee string, from, to time.Time) (*schemas.Scope, error) {
	return past(a, func(h *history.History) (*schemas.Scope, error) { return h.Scope(ctx, employee, from, to) })
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
