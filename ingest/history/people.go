package history

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// peopleSettings bound one question that a person asks: a page waits no longer.
var peopleSettings = chgo.Settings{"max_execution_time": 20, "max_memory_usage": 2 << 30, "max_bytes_before_external_sort": 256 << 20, "max_bytes_before_external_group_by": 256 << 20}

func (h *History) bounded(ctx context.Context) context.Context {
	return chgo.Context(ctx, chgo.WithSettings(peopleSettings))
}

// bodies reads the newest body of each id of a table's records.
func bodies[T any](ctx context.Context, h *History, table schemas.Topic, kind schemas.Kind, where string, args ...any) ([]T, error) {
	sql := fmt.Sprintf("SELECT argMax(body, (arrival, offset)) FROM %s WHERE kind = ? AND %s GROUP BY id ORDER BY max(time), id LIMIT 10000", table, where)
	rows, err := h.conn.Query(h.bounded(ctx), sql, append([]any{string(kind)}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := []T{}
	for rows.Next() {
		var body string
		var v T
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			return nil, fmt.Errorf("history: a %s of table %s: %w", kind, table, err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Case gives the newest record of a case.
func (h *History) Case(ctx context.Context, id string) (c schemas.Case, ok bool, err error) {
	all, err := bodies[schemas.Case](ctx, h, schemas.TopicCases, schemas.KindCase, "id = ?", id)
	if err != nil || len(all) == 0 {
		return c, false, err
	}
	return all[0], true, nil
}

// CasesOf gives an entity's cases, the newest first.
func (h *History) CasesOf(ctx context.Context, e schemas.Entity, limit int) ([]schemas.Case, error) {
	all, err := bodies[schemas.Case](ctx, h, schemas.TopicCases, schemas.KindCase, "entity = ?", e.Key())
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all[:min(len(all), limit)], err
}

// DecisionsByID gives an entity's decisions of these ids.
func (h *History) DecisionsByID(ctx context.Context, ids []string, e schemas.Entity) ([]schemas.Decision, error) {
	if len(ids) == 0 {
		return []schemas.Decision{}, nil
	}
	return bodies[schemas.Decision](ctx, h, schemas.TopicDecisions, schemas.KindDecision, "entity = ? AND id IN (?)", e.Key(), ids)
}

// SignalsByID gives an entity's signals of these ids.
func (h *History) SignalsByID(ctx context.Context, ids []string, e schemas.Entity) ([]schemas.Signal, error) {
	if len(ids) == 0 {
		return []schemas.Signal{}, nil
	}
	return bodies[schemas.Signal](ctx, h, schemas.TopicInbox, schemas.KindSignal, "entity = ? AND id IN (?)", e.Key(), ids)
}

// Told gives what was done, and who was told, because of decisions on an entity.
func (h *History) Told(ctx context.Context, decisions []string, e schemas.Entity) ([]schemas.Action, []schemas.Notice, error) {
	if len(decisions) == 0 {
		return []schemas.Action{}, []schemas.Notice{}, nil
	}
	actions, err := bodies[schemas.Action](ctx, h, schemas.TopicActions, schemas.KindAction, "entity = ? AND decision IN (?)", e.Key(), decisions)
	if err != nil {
		return nil, nil, err
	}
	notices, err := bodies[schemas.Notice](ctx, h, schemas.TopicNotices, schemas.KindNotice, "entity = ? AND decision IN (?)", e.Key(), decisions)
	return actions, notices, err
}

// between narrows a question to a stretch of the events' time, and args to it; a zero end
// is open.
func between(from, to time.Time) (sql string, args []any) {
	if !from.IsZero() {
		sql, args = " AND time >= fromUnixTimestamp64Milli(?, 'UTC')", append(args, from.UnixMilli())
	}
	if !to.IsZero() {
		sql, args = sql+" AND time < fromUnixTimestamp64Milli(?, 'UTC')", append(args, to.UnixMilli())
	}
	return sql, args
}

// recipientCount is what a send reaches.
const recipientCount = "if(empty(recipients), greatest(recipient_count, toInt64(0)), toInt64(length(recipients)))"

// once counts an event once, however often it was sent.
const once = "LIMIT 1 BY entity, account, employee, type, time, source, id"

// ReachCount is what an entity's events reached within a window.
type ReachCount struct {
	Messages, Recipients, Distinct         int64
	Lists, Exports, Secrets, Rows, Account int64
	Subjects                               []string
}

// ReachOf counts what an entity reached between two times: to bounds inclusive, since a
// window's last event belongs to it.
func (h *History) ReachOf(ctx context.Context, e schemas.Entity, from, to time.Time) (ReachCount, error) {
	var out ReachCount
	wheres, err := eventWheres(e)
	if err != nil {
		return out, err
	}
	where := wheres[0]
	if e.Kind == schemas.KindEmployee {
		where.sql, where.args = "employee = ? AND type = 'access'", []any{e.ID}
	}
	stretch, args := between(from, to.Add(time.Millisecond))
	sql := "SELECT toInt64(countIf(type = 'send' AND NOT test)), toInt64(sumIf(n, type = 'send' AND NOT test)), toInt64(uniqArrayIf(recipients, type = 'send' AND NOT test)), " +
		"toInt64(countIf(action = 'list')), toInt64(countIf(action = 'export')), toInt64(countIf(action = 'view_secret')), toInt64(sumIf(rows, type = 'access')), " +
		"toInt64(uniqArrayIf(arrayFilter(x -> x != '', arrayPushBack(accounts, account)), type = 'access')) " +
		"FROM (SELECT type, test, recipients, " + recipientCount + " AS n, action, rows, accounts, account FROM events WHERE " + where.sql + stretch + " " + once + ")"
	row := h.conn.QueryRow(h.bounded(ctx), sql, append(where.args, args...)...)
	if err := row.Scan(&out.Messages, &out.Recipients, &out.Distinct, &out.Lists, &out.Exports, &out.Secrets, &out.Rows, &out.Account); err != nil {
		return out, fmt.Errorf("history: %w", err)
	}
	return out, nil
}

// Touched is an account that an address or an employee touched.
type Touched struct {
	Account                                                      string
	First, Last                                                  time.Time
	Records, Sends, Logins, Failed, Views, Secrets, Rows, Ticket int64
}

// TouchedBy lists the accounts that an address was used for, or that an employee reached,
// those with most records first.
func (h *History) TouchedBy(ctx context.Context, e schemas.Entity, from, to time.Time, limit int) ([]Touched, error) {
	var w where
	switch e.Kind {
	case schemas.KindEmployee:
		w = where{"employee = ?", []any{e.ID}}
	case schemas.KindIP:
		var err error
		if w, err = addressWhere(e.ID); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("history: %s touches nobody", e.Key())
	}
	stretch, args := between(from, to)
	sql := "SELECT arrayJoin(all) AS a, min(time), max(time), toInt64(count()), toInt64(sumIf(n, type = 'send')), toInt64(countIf(type = 'login' AND outcome = 'success')), toInt64(countIf(type = 'login' AND outcome = 'failure')), " +
		"toInt64(countIf(type = 'access')), toInt64(countIf(action = 'view_secret')), toInt64(sumIf(rows, type = 'access')), toInt64(countIf(ticket != '')) " +
		"FROM (SELECT arrayDistinct(arrayFilter(x -> x != '', arrayPushBack(accounts, account))) AS all, time, type, outcome, action, rows, ticket, " + recipientCount + " AS n " +
		"FROM events WHERE " + w.sql + stretch + " " + once + ") GROUP BY a ORDER BY count() DESC, a LIMIT ?"
	rows, err := h.conn.Query(h.bounded(ctx), sql, append(append(w.args, args...), limit)...)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Touched
	for rows.Next() {
		var t Touched
		if err := rows.Scan(&t.Account, &t.First, &t.Last, &t.Records, &t.Sends, &t.Logins, &t.Failed, &t.Views, &t.Secrets, &t.Rows, &t.Ticket); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// SourceOf is an address that an account was used from.
type SourceOf struct {
	Address                             string
	First, Last                         time.Time
	Records, Recipients, Logins, Failed int64
	Country                             string
	ASN                                 uint32
	Credentials                         []string
}

// SourcesOf lists the addresses that an account was used from, those used last first.
func (h *History) SourcesOf(ctx context.Context, e schemas.Entity, from, to time.Time, limit int) ([]SourceOf, error) {
	stretch, args := between(from, to)
	sql := "SELECT ip, min(time), max(time) AS last, toInt64(count()), toInt64(sumIf(" + recipientCount + ", type = 'send')), toInt64(countIf(type = 'login' AND outcome = 'success')), " +
		"toInt64(countIf(type = 'login' AND outcome = 'failure')), any(country), any(asn), groupUniqArrayIf(20)(credential, credential != '') " +
		"FROM (SELECT ip, time, type, recipients, recipient_count, outcome, country, asn, credential FROM events WHERE entity = ? AND ip IS NOT NULL" + stretch + " " + once + ") " +
		"GROUP BY ip ORDER BY last DESC, ip LIMIT ?"
	rows, err := h.conn.Query(h.bounded(ctx), sql, append(append([]any{e.Key()}, args...), limit)...)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []SourceOf
	for rows.Next() {
		var s SourceOf
		var ip *netip.Addr
		if err := rows.Scan(&ip, &s.First, &s.Last, &s.Records, &s.Recipients, &s.Logins, &s.Failed, &s.Country, &s.ASN, &s.Credentials); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		if ip != nil {
			s.Address = schemas.NormalIP(*ip).String()
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// CredentialOf is a credential of an account, as events name it.
type CredentialOf struct {
	ID                           string
	First, Last                  time.Time
	Sends, Recipients, Addresses int64
	Kind, Change                 string
	Changed                      time.Time
}

// CredentialsOf lists an account's credentials, those used last first.
func (h *History) CredentialsOf(ctx context.Context, e schemas.Entity, from, to time.Time, limit int) ([]CredentialOf, error) {
	stretch, args := between(from, to)
	sql := "SELECT credential, min(time), max(time) AS last, toInt64(countIf(type = 'send')), toInt64(sumIf(" + recipientCount + ", type = 'send')), toInt64(uniqExactIf(ip, type = 'send')), " +
		"argMaxIf(kind, time, type = 'credential'), argMaxIf(change, time, type = 'credential'), maxIf(time, type = 'credential'), countIf(type = 'credential') " +
		"FROM (SELECT credential, time, type, recipients, recipient_count, ip, kind, change FROM events WHERE entity = ? AND credential != ''" + stretch + " " + once + ") " +
		"GROUP BY credential ORDER BY last DESC, credential LIMIT ?"
	rows, err := h.conn.Query(h.bounded(ctx), sql, append(append([]any{e.Key()}, args...), limit)...)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []CredentialOf
	for rows.Next() {
		var c CredentialOf
		var changes uint64
		if err := rows.Scan(&c.ID, &c.First, &c.Last, &c.Sends, &c.Recipients, &c.Addresses, &c.Kind, &c.Change, &c.Changed, &changes); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		if changes == 0 {
			c.Changed = time.Time{}
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Snapshot gives an account's newest account event; nil where there is none.
func (h *History) Snapshot(ctx context.Context, e schemas.Entity) (*schemas.Event, error) {
	scan := newEventScan()
	rows, err := h.conn.Query(h.bounded(ctx), "SELECT "+scan.names()+" FROM events WHERE entity = ? AND type = 'account' ORDER BY time DESC LIMIT 1", e.Key())
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return nil, rows.Err()
	}
	if err := rows.Scan(scan.into()...); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return scan.event(), rows.Err()
}

// StepCount is one step of a time series.
type StepCount struct {
	At                                        time.Time
	Messages, Recipients, Bounces, Complaints int64
}

// VolumeOf counts what an account sent and what came of it, by step. Steps in which nothing
// was recorded are left out.
func (h *History) VolumeOf(ctx context.Context, e schemas.Entity, from, to time.Time, step time.Duration) ([]StepCount, error) {
	stretch, args := between(from, to)
	sql := "SELECT toStartOfInterval(time, toIntervalSecond(?)) AS at, toInt64(countIf(type = 'send' AND NOT test)), toInt64(sumIf(" + recipientCount + ", type = 'send' AND NOT test)), " +
		"toInt64(countIf(type = 'delivery' AND outcome = 'hard_bounce')), toInt64(countIf(type = 'delivery' AND outcome = 'complaint')) " +
		"FROM (SELECT time, type, test, recipients, recipient_count, outcome FROM events WHERE entity = ? AND type IN ('send', 'delivery')" + stretch + " " + once + ") GROUP BY at ORDER BY at LIMIT 10000"
	rows, err := h.conn.Query(h.bounded(ctx), sql, append([]any{int64(step.Seconds()), e.Key()}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []StepCount
	for rows.Next() {
		var s StepCount
		if err := rows.Scan(&s.At, &s.Messages, &s.Recipients, &s.Bounces, &s.Complaints); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		s.At = s.At.UTC()
		out = append(out, s)
	}
	return out, rows.Err()
}

// Suppressed counts an entity's signals of a stretch of time, of one detector or of all.
func (h *History) Suppressed(ctx context.Context, e schemas.Entity, detector string, from, to time.Time) (int64, error) {
	stretch, args := between(from, to)
	sql, all := "SELECT toInt64(uniqExact(id)) FROM inbox WHERE entity = ? AND kind = 'signal'"+stretch, append([]any{e.Key()}, args...)
	if detector != "" {
		sql, all = sql+" AND detector = ?", append(all, detector)
	}
	var n int64
	if err := h.conn.QueryRow(h.bounded(ctx), sql, all...).Scan(&n); err != nil {
		return 0, fmt.Errorf("history: %w", err)
	}
	return n, nil
}

// DecidedBy is how often a policy decided something.
type DecidedBy struct {
	Policy  string
	Version int32
	Mode    string
	Braked  bool
	N       int64
}

// DecidedSince counts decisions by policy, version and mode; those on trial are left out.
func (h *History) DecidedSince(ctx context.Context, since time.Time) ([]DecidedBy, error) {
	rows, err := h.conn.Query(h.bounded(ctx), "SELECT policy, policy_version, mode, braked, toInt64(uniqExact(id)) FROM decisions WHERE time >= fromUnixTimestamp64Milli(?, 'UTC') AND trial = '' GROUP BY ALL ORDER BY ALL", since.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []DecidedBy
	for rows.Next() {
		var d DecidedBy
		if err := rows.Scan(&d.Policy, &d.Version, &d.Mode, &d.Braked, &d.N); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// Known reports whether anything is recorded of an entity: an event or a finding.
func (h *History) Known(ctx context.Context, e schemas.Entity) (bool, error) {
	for _, err := range h.Timeline(ctx, e, time.Time{}, 1) {
		return err == nil, err
	}
	return false, nil
}

// OperatorFilter narrows what people did.
type OperatorFilter struct {
	Actor, Act, Entity string
	Refused            *bool
	Since, Until       time.Time
	Limit              int
	After              *Place
}

// Place is where an entry stands in an order by time, the newest first.
type Place struct {
	When, Arrival time.Time
	Kind          schemas.Kind
	Position
}

func (p *Place) behind() (sql string, args []any) {
	if p == nil {
		return "", nil
	}
	rank := "toUInt64(" + causes + ")"
	return " AND (entry_when, entry_arrival, " + rank + ", entry_log_id, entry_topic, entry_partition, entry_offset) < (fromUnixTimestamp64Milli(?, 'UTC'), fromUnixTimestamp64Milli(?, 'UTC'), " + strings.Replace(rank, "entry_kind", "?", 1) + ", ?, ?, ?, ?)",
		[]any{p.When.UnixMilli(), p.Arrival.UnixMilli(), string(p.Kind), p.LogID, string(p.Topic), p.Partition, p.Offset}
}

const newestFirst = " ORDER BY entry_when DESC, entry_arrival DESC, " + causes + " DESC, entry_log_id DESC, entry_topic DESC, entry_partition DESC, entry_offset DESC"

// Operators tells what people did, the newest first.
func (h *History) Operators(ctx context.Context, f OperatorFilter) ([]Entry, error) {
	q := query{scan: newEventScan()}
	sql := "SELECT toString(kind) AS entry_kind, body AS entry_body, " + commonColumns() + ", " + q.scan.defaults() + ", time AS entry_when FROM operator WHERE kind = 'operator'"
	for column, value := range map[string]string{"actor": f.Actor, "act": f.Act, "entity": f.Entity} {
		if value != "" {
			sql, q.args = sql+" AND `"+column+"` = ?", append(q.args, value)
		}
	}
	if f.Refused != nil {
		sql += map[bool]string{true: " AND refused != ''", false: " AND refused = ''"}[*f.Refused]
	}
	stretch, args := between(f.Since, f.Until)
	behind, more := f.After.behind()
	q.args = append(append(q.args, args...), more...)
	q.sql = "SELECT * EXCEPT (entry_when) FROM (" + sql + stretch + ") WHERE 1" + behind + newestFirst + fmt.Sprintf(" LIMIT %d", 2*f.Limit+100)
	return h.first(ctx, q, f.Limit)
}

// TimelineFilter narrows a timeline.
type TimelineFilter struct {
	Since, Until time.Time
	Kinds        []schemas.Kind
	Limit        int
	After        *Place
}

// NewestOf gives what a timeline has, the newest first, a page at a time.
func (h *History) NewestOf(ctx context.Context, entity schemas.Entity, f TimelineFilter) ([]Entry, error) {
	q, err := h.timelineQuery(entity, f.Since, f.Limit)
	if err != nil {
		return nil, err
	}
	inner := q.union
	sql := "SELECT *, " + when() + " AS entry_when FROM (" + inner + ")"
	where := "1"
	if !f.Until.IsZero() {
		where += " AND entry_when < fromUnixTimestamp64Milli(?, 'UTC')"
		q.args = append(q.args, f.Until.UnixMilli())
	}
	if len(f.Kinds) > 0 {
		kinds := make([]string, len(f.Kinds))
		for i, k := range f.Kinds {
			kinds[i] = string(k)
		}
		where += " AND entry_kind IN (?)"
		q.args = append(q.args, kinds)
	}
	behind, more := f.After.behind()
	q.args = append(q.args, more...)
	q.sql = "SELECT * EXCEPT (entry_when) FROM (" + sql + ") WHERE " + where + behind + newestFirst + fmt.Sprintf(" LIMIT %d", 2*f.Limit+1000)
	return h.first(ctx, q, f.Limit)
}

// first gives the first so many entries of a question, each once.
func (h *History) first(ctx context.Context, q query, limit int) ([]Entry, error) {
	var out []Entry
	var failed error
	h.entries(ctx, q, func(e Entry, err error) bool {
		if err != nil {
			failed = err
			return false
		}
		out = append(out, e)
		return len(out) < limit
	})
	if failed != nil {
		return nil, failed
	}
	return out, nil
}

// When is where the entry stands in a timeline.
func (e Entry) When() time.Time {
	if e.FoundLate() {
		return e.Arrival
	}
	return e.Time
}
