package proof

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"holdfast/ingest/clickhouse"
	"holdfast/schemas"
)

const (
	seqPage   = 1024   // leaves of a partition that are looked up at once
	rowWindow = 60_000 // rows that are held against their batches at once
	nameFew   = 25     // rows of one batch that are named one by one
	longTime  = 10 * time.Minute
)

// partition checks one partition of one table.
type partition struct {
	v     *Verifier
	t     schemas.Table
	form  *clickhouse.Canonical
	topic schemas.Topic
	n     int32
	cover Coverage

	hash         hasher
	buf          []byte
	to           int64 // end of the last batch looked at, and its log
	log          string
	stored, end  int64 // of the journal, where it is known
	known        bool
	holes        int64 // rows between batches of the present group
	holesAt      Stretch
	stranger     map[int64]bool
	replacements map[int64][]byte
}

// slot is a batch that is being checked: its leaf, what the store keeps of it, and which
// of its rows were found.
type slot struct {
	e     Entry
	b     *Batch // nil where it is gone or damaged
	match []bool
	wrong []wrongRow
	loose int64 // rows that cannot be told, without b
}

type wrongRow struct {
	k   int
	row storedRow
	log bool // it is as it was but for its log id
}

// storedRow is a row as the store has it.
type storedRow struct {
	log     string
	offset  int64
	arrival int64
	raw     string
}

func (v *Verifier) checkTable(ctx context.Context, t schemas.Table) error {
	if err := v.checkPlaces(ctx, t); err != nil {
		return err
	}
	for _, key := range v.fold.Partitions() {
		topic, number, _ := strings.Cut(key, "/")
		if topic != string(t.Topic) {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil {
			return err
		}
		p := &partition{
			v: v, t: t, form: clickhouse.NewCanonical(t), topic: t.Topic, n: int32(n), cover: v.fold.Cover[key],
			stranger: v.strangers[key], replacements: v.override[key],
		}
		if v.Journals != nil {
			p.stored, p.end, p.known = v.Journals.Recorded(ctx, t.Topic, p.n)
		}
		if err := p.check(ctx); err != nil {
			return fmt.Errorf("partition %d: %w", n, err)
		}
	}
	return v.checkKept(ctx, t)
}

// place is a group of a table's rows that stand in one partition of one log.
type place struct {
	log, topic string
	partition  int32
	rows       uint64
	from, to   int64
}

// checkPlaces looks at where a table's rows stand: those of no partition that there is,
// those before the first that is covered, and those behind the last.
func (v *Verifier) checkPlaces(ctx context.Context, t schemas.Table) error {
	rows, err := v.Store.Query(ctx, "SELECT log_id, topic, partition, count(), min(offset), max(offset) FROM "+t.Name+" GROUP BY log_id, topic, partition ORDER BY topic, partition, log_id")
	if err != nil {
		return err
	}
	var list []place
	for rows.Next() {
		var x place
		if err := rows.Scan(&x.log, &x.topic, &x.partition, &x.rows, &x.from, &x.to); err != nil {
			_ = rows.Close()
			return err
		}
		list = append(list, x)
	}
	_ = rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	for _, x := range list {
		if err := v.checkPlace(ctx, t, x); err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifier) checkPlace(ctx context.Context, t schemas.Table, x place) error {
	where := fmt.Sprintf("log_id = '%s' AND topic = '%s' AND partition = %d", quote(x.log), quote(x.topic), x.partition)
	c, covered := v.fold.Cover[partitionKey(t.Topic, x.partition)]
	stored, end, known := int64(0), int64(0), false
	if v.Journals != nil {
		stored, end, known = v.Journals.Recorded(ctx, t.Topic, x.partition)
	}
	switch {
	case x.topic != string(t.Topic):
		return v.addedRows(ctx, t, where, "the table is not of the journal "+x.topic)
	case known && end < 0:
		return v.addedRows(ctx, t, where, "the journal has no such partition")
	case !slices.Contains(v.fold.Logs, x.log) && covered && c.First == 0:
		return v.addedRows(ctx, t, where, "there was no such log")
	case !covered:
		if known && x.to >= end {
			return v.addedRows(ctx, t, where+fmt.Sprintf(" AND offset >= %d AND offset <= %d", end, x.to), "the journal ends before it")
		}
		v.uncovered(Stretch{Table: t.Name, Partition: x.partition, From: x.from, To: x.to + 1, Rows: int64(x.rows), Why: "the log of proof has not come to this partition yet"}) // #nosec G115 -- a number of rows
		return nil
	}
	if x.from < c.First {
		before, err := v.count(ctx, t, where+fmt.Sprintf(" AND offset < %d", c.First))
		if err != nil {
			return err
		}
		v.uncovered(Stretch{Table: t.Name, Partition: x.partition, From: x.from, To: c.First, Rows: before, Why: "recorded before the log of proof began"})
	}
	if x.to < c.To {
		return nil
	}
	behind := where + fmt.Sprintf(" AND offset >= %d", c.To)
	if known {
		if x.to >= max(end, stored) {
			if err := v.addedRows(ctx, t, where+fmt.Sprintf(" AND offset >= %d AND offset <= %d", max(end, stored, c.To), x.to), "the journal ends before it"); err != nil {
				return err
			}
		}
		behind += fmt.Sprintf(" AND offset < %d", max(end, stored))
	}
	n, err := v.count(ctx, t, behind)
	v.report.Pending += n
	return err
}

func quote(s string) string { return strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) }

func (v *Verifier) uncovered(s Stretch) {
	if s.Rows > 0 {
		v.report.NotCovered = append(v.report.NotCovered, s)
	}
}

func (v *Verifier) count(ctx context.Context, t schemas.Table, where string) (int64, error) {
	var n uint64
	err := v.Store.QueryRow(ctx, "SELECT count() FROM "+t.Name+" WHERE "+where).Scan(&n)
	return int64(n), err // #nosec G115 -- a number of rows
}

// addedRows names rows that no journal held.
func (v *Verifier) addedRows(ctx context.Context, t schemas.Table, where, why string) error {
	form := clickhouse.NewCanonical(t)
	rows, err := v.Store.Query(ctx, "SELECT partition, offset, "+form.Select()+" FROM "+t.Name+" WHERE "+where+" ORDER BY offset LIMIT 1000")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		f := Finding{What: FoundAdded, Table: t.Name, Topic: t.Topic, Detail: why}
		var raw string
		if err := rows.Scan(&f.Partition, &f.Offset, &raw); err != nil {
			return err
		}
		values, err := form.Values(raw)
		if err != nil {
			return err
		}
		f.ID, f.Time = names(values)
		v.found(f)
	}
	return rows.Err()
}

// names are a row's id and time, by its columns' bytes.
func names(values map[string]string) (id string, at time.Time) {
	if ms := values["time"]; len(ms) == 8 {
		at = moment(int64(binary.LittleEndian.Uint64([]byte(ms)))) // #nosec G115 -- a time
	}
	return textOf(values["id"]), at
}

// textOf is a text of RowBinary.
func textOf(s string) string {
	_, n := binary.Uvarint([]byte(s[:min(len(s), binary.MaxVarintLen64)]))
	return s[max(n, 0):]
}

// check goes through all leaves of the partition.
func (p *partition) check(ctx context.Context) error {
	p.to = p.cover.First
	for seq := int64(1); seq <= p.cover.Seq; seq += seqPage {
		entries, err := p.entries(ctx, seq, min(seq+seqPage, p.cover.Seq+1))
		if err != nil {
			return err
		}
		for len(entries) > 0 {
			n, rows := 0, 0
			for n < len(entries) && (n == 0 || rows+entries[n].Rows <= rowWindow) {
				rows += entries[n].Rows
				n++
			}
			if err := p.checkGroup(ctx, entries[:n]); err != nil {
				return err
			}
			entries = entries[n:]
		}
		if p.v.Progress != nil {
			p.v.Progress(p.t.Name, p.v.report.Rows)
		}
	}
	return p.checkOrphans(ctx)
}

// entries are the partition's leaves of some numbers, as the tiles have them.
func (p *partition) entries(ctx context.Context, from, to int64) ([]Entry, error) {
	rows, err := p.v.Store.Query(ctx, "SELECT seq, body FROM "+TableLog+" FINAL WHERE topic = ? AND partition = ? AND kind = 'batch' AND seq >= ? AND seq < ? ORDER BY seq", string(p.topic), p.n, from, to)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	bodies := map[int64][]byte{}
	for rows.Next() {
		var seq int64
		var body string
		if err := rows.Scan(&seq, &body); err != nil {
			return nil, err
		}
		if !p.stranger[seq] {
			bodies[seq] = []byte(body)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	out := make([]Entry, 0, to-from)
	for seq := from; seq < to; seq++ {
		body := bodies[seq]
		if r, ok := p.replacements[seq]; ok {
			body = r
		}
		if body == nil {
			continue // told when the copy was held against the tiles
		}
		e, err := ReadEntry(body)
		if err != nil {
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

// checkOrphans looks for batches behind the last leaf. One that was stored a moment ago
// may be about to get its leaf.
func (p *partition) checkOrphans(ctx context.Context) error {
	return queryBatches(ctx, p.v.Store, "topic = ? AND partition = ? AND (seq > ? OR seq < 1) ORDER BY seq LIMIT 1000", func(b *Batch, _ string) error {
		age := time.Since(time.Unix(0, int64(b.Version))) // #nosec G115 -- what lies beyond is a finding
		if b.Seq > 0 && age >= -longTime && age < longTime {
			return nil
		}
		p.v.found(Finding{What: FoundAdded, Table: TableBatches, Topic: p.topic, Partition: p.n, Offset: b.From, Detail: fmt.Sprintf("batch %d has no leaf", b.Seq)})
		return nil
	}, string(p.topic), p.n, p.cover.Seq)
}

// checkGroup checks some consecutive batches and the rows of their stretch.
func (p *partition) checkGroup(ctx context.Context, entries []Entry) error {
	slots := make([]*slot, len(entries))
	for i := range entries {
		slots[i] = &slot{e: entries[i]}
	}
	if err := p.loadBatches(ctx, slots); err != nil {
		return err
	}
	sorted := slices.Clone(slots)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].e.From < sorted[j].e.From })
	from, to := sorted[0].e.From, sorted[0].e.To
	for _, s := range sorted {
		to = max(to, s.e.To)
	}
	if p.log == entries[0].Log && p.to < from || p.log == "" {
		from = min(from, p.to)
	}
	p.holes = 0
	if err := p.eachRow(ctx, from, to, func(r storedRow) error { return p.hold(sorted, r) }); err != nil {
		return err
	}
	if p.holes > 0 {
		p.holesAt.Rows = p.holes
		p.v.uncovered(p.holesAt)
	}
	for _, s := range slots {
		if err := p.conclude(ctx, s); err != nil {
			return err
		}
	}
	last := entries[len(entries)-1]
	p.to, p.log = last.To, last.Log
	p.v.report.Batches += int64(len(entries))
	return nil
}

// loadBatches reads what the store keeps of the batches, and holds it against the leaves.
func (p *partition) loadBatches(ctx context.Context, slots []*slot) error {
	bySeq := map[int64]*slot{}
	for _, s := range slots {
		bySeq[s.e.Seq] = s
	}
	told := map[int64]bool{}
	err := queryBatches(ctx, p.v.Store, "topic = ? AND partition = ? AND seq >= ? AND seq <= ?", func(b *Batch, damage string) error {
		s := bySeq[b.Seq]
		if s == nil {
			return nil
		}
		if damage == "" {
			e, err := b.Entry()
			if err != nil {
				return err
			}
			was, _ := s.e.Bytes()
			if is, _ := e.Bytes(); string(is) == string(was) {
				s.b, s.match = b, make([]bool, len(b.Offsets))
				return nil
			}
			damage = "it is not the batch that the leaf is of"
		}
		told[b.Seq] = true
		p.v.found(Finding{What: FoundChanged, Table: TableBatches, Topic: p.topic, Partition: p.n, Offset: s.e.From,
			Detail: fmt.Sprintf("batch %d, offsets %d to %d: %s; its %d rows cannot be checked", b.Seq, s.e.From, s.e.To-1, damage, s.e.Rows)})
		return nil
	}, string(p.topic), p.n, slots[0].e.Seq, slots[len(slots)-1].e.Seq)
	if err != nil {
		return err
	}
	for _, s := range slots {
		if s.b != nil || told[s.e.Seq] {
			continue
		}
		if x := p.expiry(s); x != nil && x.Kept == 0 {
			continue // the batch went with its rows
		}
		p.v.found(Finding{What: FoundMissing, Table: TableBatches, Topic: p.topic, Partition: p.n, Offset: s.e.From,
			Detail: fmt.Sprintf("batch %d, offsets %d to %d, is gone; its %d rows cannot be checked", s.e.Seq, s.e.From, s.e.To-1, s.e.Rows)})
	}
	return nil
}

func (p *partition) expiry(s *slot) *Entry {
	at := moment(s.e.First)
	return p.v.expired[p.t.Name][at.Year()*100+int(at.Month())]
}

// quietly lets verifying take no more than one core from what is more urgent.
func quietly(ctx context.Context) context.Context {
	return chgo.Context(ctx, chgo.WithSettings(chgo.Settings{"max_threads": 2, "max_block_size": 8192}))
}

// eachRow reads the rows of a stretch of offsets, in their order.
func (p *partition) eachRow(ctx context.Context, from, to int64, f func(storedRow) error) error {
	rows, err := p.v.Store.Query(quietly(ctx), "SELECT log_id, offset, arrival, "+p.form.Select()+" FROM "+p.t.Name+" WHERE topic = ? AND partition = ? AND offset >= ? AND offset < ? ORDER BY offset", string(p.topic), p.n, from, to)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r storedRow
		var at time.Time
		if err := rows.Scan(&r.log, &r.offset, &at, &r.raw); err != nil {
			return err
		}
		r.arrival = at.UnixMilli()
		if err := f(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// slotOf finds the batch that a row belongs to. Where a log was replaced by another, two
// batches have the same offsets.
func slotOf(sorted []*slot, r *storedRow) *slot {
	var best *slot
	for i := sort.Search(len(sorted), func(i int) bool { return sorted[i].e.From > r.offset }) - 1; i >= 0; i-- {
		s := sorted[i]
		if r.offset >= s.e.To {
			if best != nil || len(sorted)-i > seqPage {
				break
			}
			continue
		}
		switch within := r.arrival >= s.e.First && r.arrival <= s.e.Last; {
		case within && s.e.Log == r.log:
			return s
		case best == nil, within:
			best = s
		}
	}
	return best
}

// hold holds one row against its batch.
func (p *partition) hold(sorted []*slot, r storedRow) error {
	s := slotOf(sorted, &r)
	if s == nil {
		if p.holes == 0 {
			p.holesAt = Stretch{Table: p.t.Name, Partition: p.n, From: r.offset, Why: "the journal had lost them when the log of proof came to it"}
		}
		p.holes++
		p.holesAt.To = r.offset + 1
		return nil
	}
	if s.b == nil {
		s.loose++
		return nil
	}
	k, ok := slices.BinarySearch(s.b.Offsets, r.offset)
	if !ok {
		return p.tellRow(FoundAdded, r, "the journal holds no row at its offset")
	}
	salt, ok := s.b.Salt(k)
	if !ok {
		return p.tellRow(FoundUndone, r, "it was erased, and is there")
	}
	var err error
	if p.buf, err = p.form.Row(p.buf[:0], r.raw); err != nil {
		return err
	}
	if p.hash.commit(salt, p.buf) != s.b.Commitments[k] {
		s.wrong = append(s.wrong, wrongRow{k, r, false})
		return nil
	}
	if r.log != s.e.Log && !slices.Contains(p.v.fold.Logs, r.log) {
		s.wrong = append(s.wrong, wrongRow{k, r, true})
		return nil
	}
	if !s.match[k] {
		s.match[k] = true
		p.v.report.Rows++
	}
	return nil
}

func (p *partition) tellRow(what string, r storedRow, detail string) error {
	values, err := p.form.Values(r.raw)
	if err != nil {
		return err
	}
	f := Finding{What: what, Table: p.t.Name, Topic: p.topic, Partition: p.n, Offset: r.offset, Detail: detail}
	f.ID, f.Time = names(values)
	p.v.found(f)
	return nil
}

// conclude tells what a batch's rows came to.
func (p *partition) conclude(ctx context.Context, s *slot) error {
	if s.b == nil {
		return nil
	}
	for _, w := range s.wrong {
		if s.match[w.k] {
			if err := p.tellRow(FoundAdded, w.row, "it stands at the offset of a row that is there as well"); err != nil {
				return err
			}
			continue
		}
		s.match[w.k] = true
		if w.log {
			if err := p.tellRow(FoundChanged, w.row, fmt.Sprintf("log_id is %q, was %q", w.row.log, s.e.Log)); err != nil {
				return err
			}
			continue
		}
		if err := p.tellChanged(ctx, w.row); err != nil {
			return err
		}
	}
	var missing []int
	for k, ok := range s.match {
		if !ok {
			missing = append(missing, k)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return p.explain(ctx, s, missing)
}

// tellChanged names a row that is not as it was, and what of it differs where the journal
// still knows.
func (p *partition) tellChanged(ctx context.Context, r storedRow) error {
	values, err := p.form.Values(r.raw)
	if err != nil {
		return err
	}
	f := Finding{What: FoundChanged, Table: p.t.Name, Topic: p.topic, Partition: p.n, Offset: r.offset, Detail: "it is not the row that was committed to"}
	f.ID, f.Time = names(values)
	if p.v.Journals != nil {
		was, err := p.v.Journals.Row(ctx, p.topic, p.n, r.offset)
		if err != nil {
			return err
		}
		if was != nil {
			f.Detail = p.differences(was, values)
			if id, at := names(was); id != "" {
				f.ID, f.Time = id, at
			}
		}
	}
	p.v.found(f)
	return nil
}

func (p *partition) differences(was, is map[string]string) string {
	var out []string
	for _, c := range p.t.Columns {
		a, b := was[c.Name], is[c.Name]
		if a == b || c.Name == schemas.ColumnLogID {
			continue
		}
		switch c.Kind {
		case schemas.ColumnText, schemas.ColumnWord:
			out = append(out, fmt.Sprintf("%s is %.60q, was %.60q", c.Name, textOf(b), textOf(a)))
		default:
			out = append(out, c.Name+" differs")
		}
	}
	if len(out) == 0 {
		return "it is not the row that was committed to, and neither is the journal's record"
	}
	return strings.Join(out, "; ")
}

// explain tells why rows are not there: by right, not yet, or because somebody took them.
func (p *partition) explain(ctx context.Context, s *slot, missing []int) error {
	from, to := s.b.Offsets[missing[0]], s.b.Offsets[missing[len(missing)-1]]+1
	gone := map[int64]string{}
	err := queryRemovals(ctx, p.v.Store, "topic = ? AND partition = ? AND offset >= ? AND offset < ?", func(id string, r *Removal) error {
		if p.v.removals[id] != nil {
			gone[r.Offset] = id
		}
		return nil
	}, string(p.topic), p.n, from, to)
	if err != nil {
		return err
	}
	refused, err := p.refused(ctx, from, to)
	if err != nil {
		return err
	}
	expiry := p.expiry(s)
	var taken []int
	for _, k := range missing {
		offset := s.b.Offsets[k]
		switch id := gone[offset]; {
		case id != "":
			p.v.removed[id]++
		case refused[offset]:
			p.v.report.Refused++
		case expiry != nil:
			p.v.removed[expiry.ID]++
		case p.known && offset >= p.stored, !p.known && time.Since(moment(s.e.Last)) < longTime:
			p.v.report.Pending++
		default:
			taken = append(taken, k)
		}
	}
	for i, k := range taken {
		f := Finding{What: FoundMissing, Table: p.t.Name, Topic: p.topic, Partition: p.n, Offset: s.b.Offsets[k], ID: s.b.ID}
		if i == nameFew {
			f.Detail = fmt.Sprintf("and %d more of the batch, up to offset %d", len(taken)-i, s.b.Offsets[taken[len(taken)-1]])
			p.v.found(f)
			break
		}
		if err := p.nameMissing(ctx, s, &f); err != nil {
			return err
		}
		p.v.found(f)
	}
	return nil
}

func (p *partition) nameMissing(ctx context.Context, s *slot, f *Finding) error {
	f.Detail = fmt.Sprintf("it arrived between %s and %s", moment(s.e.First).Format(time.RFC3339Nano), moment(s.e.Last).Format(time.RFC3339Nano))
	if s.b.ID != "" {
		f.Time = moment(s.b.Time)
	}
	if p.v.Journals == nil {
		return nil
	}
	was, err := p.v.Journals.Row(ctx, p.topic, p.n, f.Offset)
	if err != nil {
		return err
	}
	if was != nil {
		f.ID, f.Time = names(was)
		if e := textOf(was[schemas.ColumnEntity]); e != "" {
			f.Detail = "about " + e + "; " + f.Detail
		}
	}
	return nil
}

// refused lists the records of a stretch that the store has refused.
func (p *partition) refused(ctx context.Context, from, to int64) (map[int64]bool, error) {
	rows, err := p.v.Store.Query(ctx, "SELECT rejected_offset FROM rejected WHERE rejected_topic = ? AND rejected_partition = ? AND rejected_offset >= ? AND rejected_offset < ? AND reason = ?",
		string(p.topic), p.n, from, to, string(schemas.ReasonStore))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[int64]bool{}
	for rows.Next() {
		var offset int64
		if err := rows.Scan(&offset); err != nil {
			return nil, err
		}
		out[offset] = true
	}
	return out, rows.Err()
}

// checkKept counts, in months that are over, the rows that somebody holds.
func (v *Verifier) checkKept(ctx context.Context, t schemas.Table) error {
	for month, e := range v.expired[t.Name] {
		var n uint64
		if err := v.Store.QueryRow(ctx, "SELECT uniqExact(log_id, partition, offset) FROM "+t.Name+" WHERE toYYYYMM(arrival) = ?", uint32(month)).Scan(&n); err != nil { // #nosec G115 -- a month
			return err
		}
		if int64(n) < e.Kept { // #nosec G115 -- a number of rows
			v.found(Finding{What: FoundMissing, Table: t.Name, ID: e.ID, Time: moment(e.Time), Detail: fmt.Sprintf("of the rows of %d that are held %d are there, not %d", month, n, e.Kept)})
		}
	}
	return nil
}
