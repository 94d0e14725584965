package history

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"holdfast/schemas"
)

// Names and versions of the questions whose answers are kept. Raise the version with what
// a question counts.
const (
	HuntQuery   = "retro_hunt"
	huntVersion = 1
)

// incidentSettings bound one question about an incident: it looks through all that is
// recorded, and is asked rarely.
var incidentSettings = chgo.Settings{"max_execution_time": 120, "max_memory_usage": 3 << 30, "max_bytes_before_external_sort": 512 << 20, "max_bytes_before_external_group_by": 512 << 20}

func (h *History) asking(ctx context.Context) context.Context {
	return chgo.Context(ctx, chgo.WithSettings(incidentSettings))
}

// CampaignProgress tells how far a campaign's credentials are renewed: by the newest event
// that rotated, revoked or removed each since the campaign's beginning. Everybody's are those
// that snapshots, changes and sends named before it.
func (h *History) CampaignProgress(ctx context.Context, c *schemas.Campaign, limit int) (*schemas.Progress, error) {
	ctx = h.asking(ctx)
	since := c.Since.UnixMilli()
	listed, args := "SELECT arrayJoin(?) AS credential", []any{c.Credentials}
	if c.Everybody {
		listed = "SELECT DISTINCT credential FROM (SELECT arrayJoin(arrayFilter((x, k) -> k IN ('api_key', 'smtp_password'), credentials_id, credentials_kind)) AS credential FROM events WHERE type = 'account' AND time < fromUnixTimestamp64Milli(?, 'UTC') " +
			"UNION ALL SELECT credential FROM events WHERE type = 'credential' AND kind IN ('api_key', 'smtp_password') AND credential != '' AND time < fromUnixTimestamp64Milli(?, 'UTC') " +
			"UNION ALL SELECT DISTINCT credential FROM events WHERE type = 'send' AND credential != '' AND time < fromUnixTimestamp64Milli(?, 'UTC'))"
		args = []any{since, since, since}
	}
	// Snapshots name credentials that no event of their own does.
	owners := "SELECT credential, argMax(account, time) AS owner, maxIf(time, type = 'send') AS used, maxIf(time, type = 'credential' AND change IN ('rotated', 'revoked', 'removed') AND time >= fromUnixTimestamp64Milli(?, 'UTC')) AS renewed, " +
		"argMaxIf(toString(change), time, type = 'credential' AND change IN ('rotated', 'revoked', 'removed') AND time >= fromUnixTimestamp64Milli(?, 'UTC')) AS how " +
		"FROM (SELECT credential, account, time, toString(type) AS type, toString(change) AS change FROM events WHERE credential IN (" + listed + ") " +
		"UNION ALL SELECT arrayJoin(credentials_id) AS credential, account, time, 'account' AS type, '' AS change FROM events WHERE type = 'account' AND hasAny(credentials_id, (SELECT groupArray(credential) FROM (" + listed + "))) ) " +
		"WHERE credential IN (" + listed + ") GROUP BY credential"
	told := "SELECT account, max(time) AS at FROM notices WHERE kind = 'notice' AND outcome = 'sent' AND account != '' AND time >= fromUnixTimestamp64Milli(?, 'UTC') GROUP BY account"
	from := " FROM (" + listed + ") AS l LEFT JOIN (" + owners + ") AS o ON l.credential = o.credential LEFT JOIN (" + told + ") AS n ON o.owner = n.account"
	all := slices.Concat(args, []any{since, since}, args, args, args, []any{since})
	out := &schemas.Progress{Items: []schemas.Renewal{}}
	err := h.conn.QueryRow(ctx, "SELECT toInt64(count()), toInt64(countIf(o.how != '')), toInt64(countIf(o.how = '' AND n.account != '')), toInt64(countIf(o.owner = ''))"+from, all...).
		Scan(&out.All, &out.Renewed, &out.Notified, &out.Unknown)
	if err != nil {
		return nil, fmt.Errorf("history: progress of a campaign: %w", err)
	}
	rows, err := h.conn.Query(ctx, "SELECT l.credential, o.owner, o.how, o.renewed, o.used, n.at"+from+" ORDER BY o.how != '', o.used DESC, l.credential LIMIT ?", append(all, limit)...)
	if err != nil {
		return nil, fmt.Errorf("history: progress of a campaign: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r schemas.Renewal
		if err := rows.Scan(&r.Credential, &r.Account, &r.Change, &r.At, &r.LastUse, &r.Notified); err != nil {
			return nil, fmt.Errorf("history: progress of a campaign: %w", err)
		}
		r.At, r.LastUse, r.Notified = since1970(r.At), since1970(r.LastUse), since1970(r.Notified)
		out.Items = append(out.Items, r)
	}
	return out, rows.Err()
}

// since1970 is a time of a column, zero where that holds none.
func since1970(t time.Time) time.Time {
	if t.UnixMilli() <= 0 {
		return time.Time{}
	}
	return t.UTC()
}

// The kinds of indicator.
const (
	IndicatorAddress   = "address"
	IndicatorNetwork   = "network"
	IndicatorUserAgent = "user_agent"
	IndicatorKey       = "key"
)

// ParseIndicator reads an address, a network, ua:TEXT for part of a user agent, or a
// credential's id, which key: may stand before.
func ParseIndicator(s string) (kind, value string, err error) {
	s = strings.TrimSpace(s)
	if v, ok := strings.CutPrefix(s, "ua:"); ok {
		if len(v) < 3 {
			return "", "", fmt.Errorf("indicator %q: write at least three letters of the user agent", s)
		}
		return IndicatorUserAgent, v, nil
	}
	if v, ok := strings.CutPrefix(s, "key:"); ok && v != "" {
		return IndicatorKey, v, nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return IndicatorAddress, schemas.NormalIP(a).String(), nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return IndicatorNetwork, p.Masked().String(), nil
	}
	if s == "" || strings.ContainsAny(s, " \t\n") {
		return "", "", fmt.Errorf("indicator %q: write an address, a network, ua:TEXT or key:ID", s)
	}
	return IndicatorKey, s, nil
}

func indicatorWhere(kind, value string) (where, error) {
	switch kind {
	case IndicatorUserAgent:
		return where{"positionCaseInsensitive(user_agent, ?) > 0", []any{value}}, nil
	case IndicatorKey:
		return where{"credential = ?", []any{value}}, nil
	}
	w, err := addressWhere(value)
	if a, perr := netip.ParseAddr(value); err == nil && perr == nil && a.Is4() {
		return where{"(" + w.sql + " OR ipv4 = ?)", append(w.args, value)}, nil
	}
	return w, err
}

// Hunt looks for indicators in all events that are recorded, or in those of a stretch of
// time: from included, to not. Each is at most one pass over the columns that it needs.
func (h *History) Hunt(ctx context.Context, indicators []string, from, to time.Time) (*schemas.Hunt, error) {
	if len(indicators) == 0 || len(indicators) > schemas.MaxIndicators {
		return nil, fmt.Errorf("history: %d indicators: give 1 to %d", len(indicators), schemas.MaxIndicators)
	}
	ctx = h.asking(ctx)
	out := &schemas.Hunt{Query: HuntQuery, Version: huntVersion, Ran: time.Now().UTC().Truncate(time.Millisecond), From: from.UTC(), To: to.UTC(), Hits: []schemas.Hit{}}
	if from.IsZero() {
		out.From = time.Time{}
	}
	var accounts []string
	stretch, args := between(from, to)
	for _, one := range indicators {
		kind, value, err := ParseIndicator(one)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		w, err := indicatorWhere(kind, value)
		if err != nil {
			return nil, err
		}
		hit := schemas.Hit{Indicator: value, Kind: kind}
		var who []string
		err = h.conn.QueryRow(ctx, fmt.Sprintf("SELECT toInt64(count()), toInt64(uniqExactIf(account, account != '')), min(time), max(time), arraySort(groupUniqArrayIf(%d)(account, account != '')) FROM "+
			"(SELECT account, time FROM events WHERE %s%s %s)", schemas.MaxMembers+1, w.sql, stretch, once), append(slices.Clone(w.args), args...)...).
			Scan(&hit.Events, &hit.Accounts, &hit.First, &hit.Last, &who)
		if err != nil {
			return nil, fmt.Errorf("history: looking for %s: %w", value, err)
		}
		hit.First, hit.Last = since1970(hit.First), since1970(hit.Last)
		out.Hits = append(out.Hits, hit)
		accounts = append(accounts, who...)
	}
	slices.Sort(accounts)
	accounts = slices.Compact(accounts)
	out.Accounts = accounts[:min(len(accounts), schemas.MaxMembers)]
	return out, nil
}
