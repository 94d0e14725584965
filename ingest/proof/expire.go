package proof

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"holdfast/schemas"
)

// Retention says how long rows are kept, by arrival. A month goes when its last day is
// over its time.
type Retention struct {
	Days  map[string]int // by table; 0 or missing: for ever
	Plans map[string]int // by an account's plan, rows of events and inbox about it
}

// Sweep deletes what is over its time and what nobody holds. Each deletion has a leaf.
func (r *Remover) Sweep(ctx context.Context, now time.Time, keep Retention, holds []Hold) error {
	for _, t := range schemas.Tables() {
		if days := keep.Days[t.Name]; days > 0 {
			if err := r.sweepTable(ctx, now, t, max(days, leastDays(t.Topic)), holds); err != nil {
				return fmt.Errorf("proof: retention of %s: %w", t.Name, err)
			}
		}
	}
	for _, plan := range slices.Sorted(maps.Keys(keep.Plans)) {
		if days := keep.Plans[plan]; days > 0 {
			if err := r.sweepPlan(ctx, now, plan, max(days, leastDays(schemas.TopicEvents)), holds); err != nil {
				return fmt.Errorf("proof: retention of plan %s: %w", plan, err)
			}
		}
	}
	return nil
}

// leastDays is how long rows stay at least: what the journal still holds would be
// recorded again.
func leastDays(t schemas.Topic) int {
	for _, x := range schemas.Topics() {
		if x.Topic == t {
			return x.Days + 1
		}
	}
	return 1
}

// monthsOver lists the months of arrival, YYYYMM, that are over their time, with how
// many of their rows a condition meets.
func (r *Remover) monthsOver(ctx context.Context, now time.Time, t schemas.Table, days int, where string) (map[int]uint64, error) {
	rows, err := r.Store.Query(ctx, "SELECT toYYYYMM(arrival), countIf("+where+") FROM "+t.Name+" GROUP BY 1")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[int]uint64{}
	for rows.Next() {
		var month uint32
		var n uint64
		if err := rows.Scan(&month, &n); err != nil {
			return nil, err
		}
		end := time.Date(int(month/100), time.Month(month%100)+1, 1, 0, 0, 0, 0, time.UTC)
		if !now.Before(end.AddDate(0, 0, days)) {
			out[int(month)] = n
		}
	}
	return out, rows.Err()
}

func (r *Remover) sweepTable(ctx context.Context, now time.Time, t schemas.Table, days int, holds []Hold) error {
	kept := held(t, holds)
	free, err := r.monthsOver(ctx, now, t, days, "NOT "+kept)
	if err != nil {
		return err
	}
	for _, month := range slices.Sorted(maps.Keys(free)) {
		if free[month] == 0 {
			continue
		}
		var stay uint64
		if err := r.Store.QueryRow(ctx, "SELECT uniqExactIf((log_id, partition, offset), "+kept+") FROM "+t.Name+" WHERE toYYYYMM(arrival) = ?", uint32(month)).Scan(&stay); err != nil { // #nosec G115 -- a month
			return err
		}
		e := Entry{Kind: KindExpiry, ID: "exp_" + ulid.Make().String(), Time: now.UnixMilli(), By: "retention", Why: fmt.Sprintf("kept for %d days", days), Table: t.Name, Month: month, Kept: int64(stay)} // #nosec G115 -- a number of rows
		if err := r.Write(ctx, e); err != nil {
			return err
		}
		sql := []string{fmt.Sprintf("ALTER TABLE %s DELETE IN PARTITION %d WHERE NOT %s", t.Name, month, kept) + changeNow}
		if stay == 0 {
			sql = []string{fmt.Sprintf("ALTER TABLE %s DROP PARTITION %d", t.Name, month), fmt.Sprintf("ALTER TABLE %s DROP PARTITION ('%s', %d)", TableBatches, t.Topic, month)}
		}
		for _, s := range sql {
			if err := r.Store.Exec(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Remover) sweepPlan(ctx context.Context, now time.Time, plan string, days int, holds []Hold) error {
	of := fmt.Sprintf("account != '' AND account IN (SELECT account FROM (SELECT account, argMax(plan, time) AS newest FROM events WHERE type = 'account' AND account != '' GROUP BY account) WHERE newest = '%s')", quote(plan))
	for _, topic := range []schemas.Topic{schemas.TopicInbox, schemas.TopicEvents} {
		t, _ := schemas.TableOf(topic)
		over, err := r.monthsOver(ctx, now, t, days, of+" AND NOT "+held(t, holds))
		if err != nil {
			return err
		}
		for _, month := range slices.Sorted(maps.Keys(over)) {
			if over[month] == 0 {
				continue
			}
			_, err := r.Take(ctx, Taking{
				Kind: KindExpiry, By: "retention", Why: fmt.Sprintf("plan %s: kept for %d days", plan, days), Holds: holds, Tables: []schemas.Table{t},
				Where: func(schemas.Table) string { return fmt.Sprintf("toYYYYMM(arrival) = %d AND %s", month, of) },
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
