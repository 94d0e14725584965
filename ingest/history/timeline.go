package history

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// Entry is one thing that happened: an event, or a finding.
type Entry struct {
	Time    time.Time    `json:"time"`
	Arrival time.Time    `json:"arrival"`
	Kind    schemas.Kind `json:"kind"`
	ID      string       `json:"id"`
	Entity  string       `json:"entity"` // its key
	Account string       `json:"account,omitempty"`
	Source  string       `json:"source,omitempty"`
	Origin  string       `json:"origin,omitempty"`
	Position
	// Event is set for events, Body, the record as it was written, for findings.
	Event *schemas.Event `json:"event,omitempty"`
	Body  jsontext.Value `json:"body,omitempty"`
}

// FoundLate reports whether this is a finding about live events that was made later
// than its time by more than the lateness: what it tells was not known in between, so it
// cannot be the cause of what was done until then. A timeline has it where it was found.
func (e Entry) FoundLate() bool {
	return e.Kind != schemas.KindEvent && e.Origin != string(schemas.OriginImport) && e.Origin != string(schemas.OriginReplay) && e.Arrival.Sub(e.Time) > schemas.Lateness
}

// Timeline gives everything about an entity since a time, in the order of time:
// its events and what else touched it (for an account also the staff who looked
// at it, for an address the events that came from it, for an employee the
// credentials that they changed), signals, requests, decisions, actions, notices,
// cases and what people did. With a limit above 0 it gives the newest that many.
func (h *History) Timeline(ctx context.Context, entity schemas.Entity, since time.Time, limit int) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		q, err := h.timelineQuery(entity, since, limit)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		if limit <= 0 {
			h.entries(ctx, q, yield)
			return
		}
		var newest []Entry
		h.entries(ctx, q, func(e Entry, err error) bool {
			if err != nil {
				newest = nil
				yield(Entry{}, err)
				return false
			}
			newest = append(newest, e)
			return len(newest) < limit
		})
		for _, e := range slices.Backward(newest) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

type query struct {
	sql   string
	union string // of a timeline: all its parts, in no order
	args  []any
	scan  *eventScan
}

// sortSettings let the store sort on disk what does not fit into memory. ClickHouse
// 26.5 reads a union of tables in the order of their keys without merging the parts
// of each, and so gives wrong orders, unless it is told to sort.
var sortSettings = chgo.Settings{"max_bytes_before_external_sort": 256 << 20, "max_bytes_ratio_before_external_sort": 0, "optimize_read_in_order": 0}

func (h *History) entries(ctx context.Context, q query, yield func(Entry, error) bool) {
	ctx, cancel := context.WithCancel(chgo.Context(ctx, chgo.WithSettings(sortSettings)))
	defer cancel()
	rows, err := h.conn.Query(ctx, q.sql, q.args...)
	if err != nil {
		yield(Entry{}, fmt.Errorf("history: %w", err))
		return
	}
	defer func() { _ = rows.Close() }()
	defer cancel() // before Close, which would read the rest
	seen := newSeen()
	for rows.Next() {
		e, err := scanEntry(rows, q.scan)
		if err != nil {
			yield(Entry{}, fmt.Errorf("history: %w", err))
			return
		}
		if seen.before(e) {
			continue
		}
		if !yield(e, nil) {
			return
		}
	}
	if err := errors.Join(rows.Err(), ctx.Err()); err != nil {
		yield(Entry{}, fmt.Errorf("history: %w", err))
	}
}

const envelope = "log_id, topic, partition, offset, arrival, id, time, entity, account, source, origin"

func scanEntry(rows driver.Rows, scan *eventScan) (Entry, error) {
	var e Entry
	var kind, topic, body string
	dest := []any{&kind, &body, &e.LogID, &topic, &e.Partition, &e.Offset, &e.Arrival, &e.ID, &e.Time, &e.Entity, &e.Account, &e.Source, &e.Origin}
	if err := rows.Scan(append(dest, scan.into()...)...); err != nil {
		return Entry{}, err
	}
	e.Kind, e.Topic = schemas.Kind(kind), schemas.Topic(topic)
	e.Time, e.Arrival = e.Time.UTC(), e.Arrival.UTC()
	if e.Kind == schemas.KindEvent {
		e.Event = scan.event()
	} else {
		e.Body = jsontext.Value(body)
	}
	return e, nil
}

// timelineQuery asks all tables at once: each part of the union is one stretch
// of a sort key, or a search that a Bloom filter narrows, so that none of them
// needs the whole table.
func (h *History) timelineQuery(entity schemas.Entity, since time.Time, limit int) (query, error) {
	wheres, err := eventWheres(entity)
	if err != nil {
		return query{}, err
	}
	q := query{scan: newEventScan()}
	var parts []string
	add := func(columns, table string, w where) {
		sql := "SELECT " + columns + " FROM " + table + " WHERE " + w.sql
		args := w.args
		if !since.IsZero() {
			sql += " AND time >= fromUnixTimestamp64Milli(?, 'UTC')"
			args = append(slices.Clone(args), since.UnixMilli())
		}
		parts, q.args = append(parts, sql), append(q.args, args...)
	}
	if h.noEvents {
		wheres = nil
	}
	for _, w := range wheres {
		add("'"+string(schemas.KindEvent)+"' AS entry_kind, '' AS entry_body, "+commonColumns()+", "+q.scan.names(), schemas.TableEvents, w)
	}
	for _, t := range schemas.Tables() {
		if t.Topic == schemas.TopicEvents || !slices.Contains(t.OrderBy, schemas.ColumnEntity) {
			continue
		}
		for _, w := range findingWheres(entity) {
			if t.Topic == schemas.TopicInbox {
				w.sql += " AND kind != '" + string(schemas.KindEvent) + "'"
			}
			if h.noTrials && t.Index(schemas.ColumnTrial) >= 0 {
				w.sql += " AND " + schemas.ColumnTrial + " = ''"
			}
			add("toString(kind) AS entry_kind, body AS entry_body, "+commonColumns()+", "+q.scan.defaults(), t.Name, w)
		}
	}
	order := " ORDER BY entry_when, entry_arrival, entry_rank, entry_log_id, entry_topic, entry_partition, entry_offset"
	if limit > 0 {
		// What is there twice is dropped afterwards; leave room for it.
		order = fmt.Sprintf(" ORDER BY entry_when DESC, entry_arrival DESC, entry_rank DESC, entry_log_id DESC, entry_topic DESC, entry_partition DESC, entry_offset DESC LIMIT %d", 2*limit+1000)
	}
	q.union = strings.Join(parts, " UNION ALL ")
	q.sql = "SELECT * FROM (" + q.union + ")" + strings.NewReplacer("entry_rank", causes, "entry_when", when()).Replace(order)
	return q, nil
}

// causes puts what follows from another thing of the same time and arrival behind it.
const causes = "indexOf(['event', 'request', 'signal', 'trial', 'answer', 'decision', 'case', 'action', 'notice', 'operator'], entry_kind)"

// when is where an entry stands in a timeline: see FoundLate.
func when() string {
	return fmt.Sprintf("if(entry_kind != '%s' AND entry_origin NOT IN ('%s', '%s') AND entry_arrival > entry_time + toIntervalMillisecond(%d), entry_arrival, entry_time)",
		schemas.KindEvent, schemas.OriginImport, schemas.OriginReplay, schemas.Lateness.Milliseconds())
}

func commonColumns() string {
	var out []string
	for name := range strings.SplitSeq(envelope, ", ") {
		out = append(out, "`"+name+"` AS entry_"+name)
	}
	return strings.Join(out, ", ")
}

type where struct {
	sql  string
	args []any
}

// eventWheres are the stretches and searches that make up an entity's events.
// They do not overlap.
func eventWheres(entity schemas.Entity) ([]where, error) {
	key := entity.Key()
	out := []where{{"entity = ?", []any{key}}}
	switch entity.Kind {
	case schemas.KindAccount:
		out = append(out,
			where{"account = ? AND entity != ?", []any{entity.ID, key}},
			where{"has(accounts, ?) AND account != ? AND entity != ?", []any{entity.ID, entity.ID, key}})
	case schemas.KindEmployee:
		out = append(out, where{"employee = ? AND entity != ?", []any{entity.ID, key}})
	case schemas.KindIP:
		w, err := addressWhere(entity.ID)
		if err != nil {
			return nil, err
		}
		w.sql, w.args = w.sql+" AND entity != ?", append(w.args, key)
		out = append(out, w)
		if a, err := netip.ParseAddr(entity.ID); err == nil && a.Is4() {
			// through a NAT64 gateway of the operator's own, as intake found
			out = append(out, where{"ipv4 = ? AND entity != ?", []any{entity.ID, key}})
		}
	}
	return out, nil
}

func addressWhere(id string) (where, error) {
	if a, err := netip.ParseAddr(id); err == nil {
		if a = schemas.NormalIP(a); a.Is4() {
			return writtenAsIPv6(a), nil
		}
		return where{"ip = toIPv6(?)", []any{a.String()}}, nil
	}
	p, err := netip.ParsePrefix(id)
	if err != nil {
		return where{}, fmt.Errorf("history: %q is neither an address nor a network: write ip:192.0.2.1 or ip:2001:db8::/64", id)
	}
	if p.Addr().Is6() && p.Bits() == 64 {
		return where{schemas.IPNetwork + " = toIPv6(?) AND ip IS NOT NULL", []any{p.Addr().String()}}, nil
	}
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return where{"ip >= toIPv6(?) AND ip <= tupleElement(IPv6CIDRToRange(toIPv6(?), ?), 2)", []any{p.Addr().String(), p.Addr().String(), uint8(bits)}}, nil
}

// writtenAsIPv6 finds an IPv4 address in every form of schemas.NormalIP: events keep the
// one that came.
func writtenAsIPv6(a netip.Addr) where {
	four := a.String()
	forms := make([]any, 0, 6)
	for _, prefix := range [...]string{"::ffff:", "64:ff9b::", "::ffff:0:", "::"} {
		forms = append(forms, prefix+four)
	}
	b := a.As4()
	local := fmt.Sprintf("64:ff9b:1:%02x%02x:%x:%02x00::", b[0], b[1], b[2], b[3])
	return where{"(ip IN (toIPv6(?), toIPv6(?), toIPv6(?), toIPv6(?), toIPv6(?)) OR" +
		" ip >= toIPv6('64:ff9b:1::') AND ip <= toIPv6('64:ff9b:1:ffff:ffff:ffff:ffff:ffff') AND substring(IPv6StringToNum(toString(assumeNotNull(ip))), 13) = unhex(?))",
		append(forms, local, hex.EncodeToString(b[:]))}
}

func findingWheres(entity schemas.Entity) []where {
	out := []where{{"entity = ?", []any{entity.Key()}}}
	if entity.Kind == schemas.KindAccount {
		out = append(out, where{"account = ? AND entity != ?", []any{entity.ID, entity.Key()}})
	}
	return out
}

// seen knows what a timeline has given already. Rows of one position, and copies
// of one event, stand at one time, so only those of the present one are kept; of
// findings, which may have been made again at another time, all are, up to a bound.
type seen struct {
	seed     maphash.Seed
	at       time.Time
	now      map[uint64]bool
	findings map[uint64]bool
}

// maxSeen bounds the findings remembered: 16 MB.
const maxSeen = 1 << 20

func newSeen() *seen {
	return &seen{seed: maphash.MakeSeed(), now: map[uint64]bool{}, findings: map[uint64]bool{}}
}

func (s *seen) before(e Entry) bool {
	if !e.Time.Equal(s.at) {
		s.at = e.Time
		clear(s.now)
	}
	if e.Kind == schemas.KindEvent {
		return known(s.now, s.hash(string(e.Kind), e.Source, e.ID)) // each source has ids of its own
	}
	if len(s.findings) >= maxSeen {
		clear(s.findings)
	}
	switch e.Kind {
	case schemas.KindCase, schemas.KindAction, schemas.KindNotice, schemas.KindDecision:
		// Their ids stay the same while what they say goes on.
		return known(s.findings, s.hash(string(e.Kind), e.ID, string(e.Body)))
	}
	return known(s.findings, s.hash(string(e.Kind), e.ID))
}

func (s *seen) hash(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	for _, p := range parts {
		_, _ = h.WriteString(p)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

func known(set map[uint64]bool, key uint64) bool {
	if set[key] {
		return true
	}
	set[key] = true
	return false
}
