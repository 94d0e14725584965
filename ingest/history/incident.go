package history

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	ScopeQuery   = "employee_scope"
	scopeVersion = 1
	HuntQuery    = "retro_hunt"
	huntVersion  = 1
)

// incidentSettings bound one question about an incident: it looks through all that is
// recorded, and is asked rarely.
var incidentSettings = chgo.Settings{"max_execution_time": 120, "max_memory_usage": 3 << 30, "max_bytes_before_external_sort": 512 << 20, "max_bytes_before_external_group_by": 512 << 20}

func (h *History) asking(ctx context.Context) context.Context {
	return chgo.Context(ctx, chgo.WithSettings(incidentSettings))
}

// touched are the customers that an access names.
const touched = "arrayDistinct(arrayFilter(x -> x != '', arrayPushBack(accounts, account)))"

// Scope tells what an employee reached between two times: from included, to not. To must be
// given; a zero from is the beginning of what is recorded.
func (h *History) Scope(ctx context.Context, employee string, from, to time.Time) (*schemas.Scope, error) {
	ctx = h.asking(ctx)
	s := &schemas.Scope{Query: ScopeQuery, Version: scopeVersion, Employee: employee, From: from.UTC(), To: to.UTC(), Ran: time.Now().UTC().Truncate(time.Millisecond), Gaps: []schemas.Gap{}}
	stretch, args := between(from, to)
	accesses := "(SELECT time, account, accounts, action, rows, ticket, " + touched + " AS whom FROM events WHERE employee = ? AND type = 'access'" + stretch + " " + once + ")"
	args = append([]any{employee}, args...)
	err := h.conn.QueryRow(ctx, "SELECT toInt64(count()), toInt64(countIf("+bulk+")), toInt64(sum(greatest(rows, 0))), toInt64(countIf(action = 'export')), toInt64(countIf(action = 'view_secret')), "+
		"toInt64(countIf(empty(whom))), toInt64(countIf(ticket != '')) FROM "+accesses, args...).
		Scan(&s.Reads, &s.Bulk, &s.Rows, &s.Exports, &s.Secrets, &s.Unnamed, &s.Tickets)
	if err != nil {
		return nil, fmt.Errorf("history: scope of %s: %w", employee, err)
	}
	reached, err := h.reached(ctx, accesses, args)
	if err != nil {
		return nil, fmt.Errorf("history: whom %s reached: %w", employee, err)
	}
	s.Digest, s.Customers = digest(reached), int64(len(reached))
	upTo, upArgs := between(time.Time{}, to)
	if err := h.conn.QueryRow(ctx, "SELECT toInt64(uniqExact(account)) FROM events WHERE account != ''"+upTo, upArgs...).Scan(&s.All); err != nil {
		return nil, fmt.Errorf("history: counting customers: %w", err)
	}
	// Whom nothing else is recorded of is a customer all the same.
	if s.All = max(s.All, s.Customers); s.All > 0 {
		s.Share = float64(s.Customers) / float64(s.All)
	}
	if s.Used, err = h.usedAfter(ctx, reached, accesses, args); err != nil {
		return nil, fmt.Errorf("history: what was sent with seen secrets: %w", err)
	}
	if s.Covered, err = h.covered(ctx, from, to); err != nil {
		return nil, fmt.Errorf("history: what the scope covers: %w", err)
	}
	if s.Gaps, err = h.gapsOf(ctx, schemas.TopicEvents); err != nil {
		return nil, fmt.Errorf("history: gaps: %w", err)
	}
	slices.SortStableFunc(reached, byGravity)
	if s.Cut = len(reached) > schemas.MaxReached; s.Cut {
		reached = reached[:schemas.MaxReached]
	}
	s.Reached = reached
	return s, nil
}

// bulk says that an access reached several customers at once, or rows of no named one.
const bulk = "length(whom) > 1 OR empty(whom) AND rows > 0"

// byGravity puts those first whose secrets were used, then those whose were seen.
func byGravity(a, b schemas.Customer) int {
	rank := func(c *schemas.Customer) int {
		switch {
		case !c.Used.IsZero():
			return 0
		case c.Secrets > 0:
			return 1
		}
		return 2
	}
	return rank(&a) - rank(&b)
}

// digest is the SHA-256 of the sorted ids, each with a line's end.
func digest(sorted []schemas.Customer) string {
	sum := sha256.New()
	for i := range sorted {
		sum.Write([]byte(sorted[i].Account + "\n"))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// reached lists every customer of the accesses, by id.
func (h *History) reached(ctx context.Context, accesses string, args []any) ([]schemas.Customer, error) {
	rows, err := h.conn.Query(ctx, "SELECT arrayJoin(whom) AS a, min(time), max(time), toInt64(count()), toInt64(countIf("+bulk+")), toInt64(countIf(action = 'view_secret')) FROM "+accesses+" GROUP BY a ORDER BY a", args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []schemas.Customer{}
	for rows.Next() {
		var c schemas.Customer
		if err := rows.Scan(&c.Account, &c.First, &c.Last, &c.Reads, &c.Bulk, &c.Secrets); err != nil {
			return nil, err
		}
		c.First, c.Last = c.First.UTC(), c.Last.UTC()
		out = append(out, c)
	}
	return out, rows.Err()
}

// usedAfter finds the customers whose mail was sent, after a secret of theirs was seen, from
// an address that they had never sent from before. It writes that into reached, which is
// sorted, and counts them.
func (h *History) usedAfter(ctx context.Context, reached []schemas.Customer, accesses string, args []any) (n int64, err error) {
	seen := "(SELECT arrayJoin(whom) AS a, min(time) AS at FROM " + accesses + " WHERE action = 'view_secret' GROUP BY a)"
	sql := "SELECT s.account AS a, min(s.begun), argMin(s.address, s.begun) FROM " +
		"(SELECT account, toString(ip) AS address, min(time) AS begun FROM events WHERE type = 'send' AND ip IS NOT NULL AND account IN (SELECT a FROM " + seen + ") GROUP BY account, address) AS s " +
		"INNER JOIN " + seen + " AS v ON s.account = v.a WHERE s.begun > v.at GROUP BY a ORDER BY a"
	rows, err := h.conn.Query(ctx, sql, append(slices.Clone(args), args...)...)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var account, address string
		var at time.Time
		if err := rows.Scan(&account, &at, &address); err != nil {
			return 0, err
		}
		n++
		if i, ok := slices.BinarySearchFunc(reached, account, func(c schemas.Customer, a string) int { return strings.Compare(c.Account, a) }); ok {
			reached[i].Used, reached[i].From = at.UTC(), plainAddress(address)
		}
	}
	return n, rows.Err()
}

func plainAddress(s string) string {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return s
	}
	return a.Unmap().String()
}

// covered are the stretches of the log of events in which the records of a time stand.
func (h *History) covered(ctx context.Context, from, to time.Time) ([]schemas.Range, error) {
	stretch, args := between(from, to)
	rows, err := h.conn.Query(ctx, "SELECT toString(log_id), partition, min(offset), max(offset), toInt64(uniqExact(offset)) FROM events WHERE 1"+stretch+" GROUP BY log_id, partition ORDER BY log_id, partition LIMIT 1000", args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []schemas.Range{}
	for rows.Next() {
		var r schemas.Range
		if err := rows.Scan(&r.LogID, &r.Partition, &r.From, &r.To, &r.Rows); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// maxGaps bounds the gaps that a scope names.
const maxGaps = 100

// gapsOf lists the newest gaps of a journal.
func (h *History) gapsOf(ctx context.Context, t schemas.Topic) ([]schemas.Gap, error) {
	rows, err := h.conn.Query(ctx, "SELECT id, time, gap_partition, gap_from, gap_to, reason FROM gaps_unique WHERE gap_topic = ? ORDER BY time DESC, id LIMIT ?", string(t), maxGaps)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []schemas.Gap{}
	for rows.Next() {
		g := schemas.Gap{Topic: t}
		if err := rows.Scan(&g.ID, &g.Time, &g.Partition, &g.From, &g.To, &g.Reason); err != nil {
			return nil, err
		}
		g.Time = g.Time.UTC()
		out = append(out, g)
	}
	return out, rows.Err()
}

// CampaignProgress tells how far a campaign's credentials are renewed: by the newest event
// that rotated, revoked or removed each since the campaign's beginning. Everybody's are those
// that snapshots and events named before it.
func (h *History) CampaignProgress(ctx context.Context, c *schemas.Campaign, limit int) (*schemas.Progress, error) {
	ctx = h.asking(ctx)
	since := c.Since.UnixMilli()
	listed, args := "SELECT arrayJoin(?) AS credential", []any{c.Credentials}
	if c.Everybody {
		listed = "SELECT DISTINCT credential FROM (SELECT arrayJoin(arrayFilter((x, k) -> k IN ('api_key', 'smtp_password'), credentials_id, credentials_kind)) AS credential FROM events WHERE type = 'account' AND time < fromUnixTimestamp64Milli(?, 'UTC') " +
			"UNION ALL SELECT credential FROM events WHERE type = 'credential' AND kind IN ('api_key', 'smtp_password') AND credential != '' AND time < fromUnixTimestamp64Milli(?, 'UTC'))"
		args = []any{since, since}
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
