package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/go-json-experiment/json"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// world is a broker and a store in memory, with the faults of the recorder's
// model: inserts whose outcome nobody learns, which arrive late or never, refusals,
// tokens pushed out of the window by others, a group that moves on while a member
// sleeps.
type world struct {
	mu  sync.Mutex
	rng *rand.Rand

	logs      map[kafka.TopicPartition]*fakeLog
	committed map[kafka.TopicPartition]kafka.Committed
	gen       int32
	members   []*member
	lanes     int

	window int
	tokens map[string][]string // per table, newest last
	rows   map[string]map[position]int
	late   []func()
	faults bool
	down   bool
	refuse func(table string, offsets []int64) int // a code, or 0
	sent   int
}

type fakeLog struct {
	start   int64
	records []kafka.Record
}

func (l *fakeLog) end() int64 { return l.start + int64(len(l.records)) }

type position struct {
	logID     string
	partition int32
	offset    int64
}

func newWorld(seed uint64, lanes int, topics []string) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 1)), logs: map[kafka.TopicPartition]*fakeLog{}, committed: map[kafka.TopicPartition]kafka.Committed{},
		lanes: lanes, window: 1 << 30, tokens: map[string][]string{}, rows: map[string]map[position]int{},
	}
	for _, t := range topics {
		for p := range lanes {
			w.logs[kafka.TopicPartition{Topic: t, Partition: int32(p)}] = &fakeLog{}
		}
	}
	return w
}

func (w *world) append(tp kafka.TopicPartition, r kafka.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.logs[tp]
	r.Offset = l.end()
	l.records = append(l.records, r)
}

func (w *world) chance(p float64) bool { return w.faults && w.rng.Float64() < p }

// node is one process's view of the world. Once it is dead, nothing it does
// arrives; while it sleeps, everything it does waits.
type node struct {
	*world
	dead  bool
	sleep time.Time
}

var errDead = errors.New("the process is dead")

// step is where a process can be stopped: at every call. It holds the lock after.
func (n *node) step(ctx context.Context) error {
	for {
		n.mu.Lock()
		if n.dead {
			n.mu.Unlock()
			<-ctx.Done()
			return errDead
		}
		left := time.Until(n.sleep)
		if left <= 0 {
			return nil
		}
		n.mu.Unlock()
		time.Sleep(left)
	}
}

func (n *node) Fetch(ctx context.Context, at []kafka.Position, o kafka.FetchOptions) ([]kafka.Fetched, error) {
	end := time.Now().Add(o.MaxWait)
	for {
		if err := n.step(ctx); err != nil {
			return nil, err
		}
		out, any := n.read(at)
		n.mu.Unlock()
		if any || !time.Now().Before(end) {
			return out, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(20*time.Millisecond, time.Until(end))):
		}
	}
}

func (n *node) read(at []kafka.Position) (out []kafka.Fetched, any bool) {
	for _, p := range at {
		l := n.logs[p.TopicPartition]
		f := kafka.Fetched{TopicPartition: p.TopicPartition, Next: p.Offset, HighWatermark: l.end(), LogStart: l.start}
		if p.Offset < l.start || p.Offset > l.end() {
			f.Err = kafka.ErrOffsetOutOfRange
			any = true
		} else if k := min(l.end()-p.Offset, 1+n.rng.Int64N(9)); k > 0 {
			f.Records = l.records[p.Offset-l.start:][:k]
			f.Next = p.Offset + k
			any = true
		}
		out = append(out, f)
	}
	return out, any
}

func (n *node) Offsets(ctx context.Context, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Range, error) {
	if err := n.step(ctx); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	out := map[kafka.TopicPartition]kafka.Range{}
	for _, tp := range tps {
		out[tp] = kafka.Range{Start: n.logs[tp].start, End: n.logs[tp].end()}
	}
	return out, nil
}

func (n *node) Write(ctx context.Context, tp kafka.TopicPartition, records []kafka.Record) error {
	if err := n.step(ctx); err != nil {
		return err
	}
	n.mu.Unlock()
	for _, r := range records {
		n.append(tp, r)
	}
	return nil
}

func (n *node) Committed(ctx context.Context, _ string, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Committed, error) {
	if err := n.step(ctx); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	out := map[kafka.TopicPartition]kafka.Committed{}
	for _, tp := range tps {
		c, ok := n.committed[tp]
		if !ok {
			c.Offset = -1
		}
		out[tp] = c
	}
	return out, nil
}

func (n *node) Commit(ctx context.Context, a kafka.Assignment, offsets map[kafka.TopicPartition]kafka.Committed) error {
	if err := n.step(ctx); err != nil {
		return err
	}
	if a.Generation != n.gen {
		n.mu.Unlock()
		return kafka.ErrStaleGeneration
	}
	for tp, c := range offsets {
		n.committed[tp] = c
	}
	lost := n.chance(.03)
	n.mu.Unlock()
	if lost {
		return errors.New("the answer to the commit is lost")
	}
	return n.leave(ctx)
}

// leave is a second place to be stopped: after the effect, before its answer.
func (n *node) leave(ctx context.Context) error {
	if err := n.step(ctx); err != nil {
		return err
	}
	n.mu.Unlock()
	return nil
}

// member is a membership that is handed one generation at a time.
type member struct {
	next chan Generation
	done chan struct{}
}

func (n *node) Join(context.Context, kafka.GroupConfig) (Membership, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := &member{next: make(chan Generation, 1)}
	n.members = append(n.members, m)
	n.regroup(m)
	return m, nil
}

// regroup gives every lane to one member under a new generation.
func (w *world) regroup(to *member) {
	w.gen++
	for _, m := range w.members {
		if m.done != nil && m != to {
			close(m.done)
			m.done = nil
		}
	}
	if to.done != nil {
		close(to.done)
	}
	to.done = make(chan struct{})
	g := Generation{Assignment: kafka.Assignment{Member: fmt.Sprintf("%p", to), Generation: w.gen}, Done: to.done, Release: func() {}}
	for p := range w.lanes {
		g.Lanes = append(g.Lanes, int32(p))
	}
	select {
	case <-to.next: // one that it never began
	default:
	}
	to.next <- g
}

func (m *member) Next(ctx context.Context) (Generation, error) {
	select {
	case g := <-m.next:
		return g, nil
	case <-ctx.Done():
		return Generation{}, ctx.Err()
	}
}

func (m *member) Close() {}

var errUnknown = errors.New("the connection broke")

func (n *node) Insert(ctx context.Context, table, token string, b *clickhouse.Block) error {
	at, err := positions(b)
	if err != nil {
		return err
	}
	if err := n.step(ctx); err != nil {
		return err
	}
	n.sent++
	insert := func() { n.insert(table, token, at) }
	var offsets []int64
	for _, p := range at {
		offsets = append(offsets, p.offset)
	}
	code := 0
	if n.refuse != nil {
		code = n.refuse(table, offsets)
	}
	switch {
	case code != 0:
		n.mu.Unlock()
		return &clickhouse.Refused{Code: code, Text: fmt.Sprintf("Code: %d, a constraint perhaps", code)}
	case n.down, n.chance(.1):
		n.mu.Unlock()
		return errUnknown // it never arrived
	case n.chance(.08):
		n.mu.Unlock()
		return &clickhouse.Refused{Code: 241, Text: "memory limit exceeded"}
	case n.chance(.2):
		n.late = append(n.late, insert)
		n.mu.Unlock()
		return errUnknown // it will arrive
	}
	insert()
	lost := n.chance(.05)
	n.mu.Unlock()
	if lost {
		return errUnknown
	}
	return n.leave(ctx)
}

func (w *world) insert(table, token string, at []position) {
	if token == "" {
		return // a twin
	}
	known := w.tokens[table]
	for _, t := range known[max(len(known)-w.window, 0):] {
		if t == token {
			return
		}
	}
	w.tokens[table] = append(known, token)
	if w.rows[table] == nil {
		w.rows[table] = map[position]int{}
	}
	for _, p := range at {
		w.rows[table][p]++
	}
}

func (n *node) Stored(ctx context.Context, table string, r Range) (int, error) {
	if err := n.step(ctx); err != nil {
		return 0, err
	}
	defer n.mu.Unlock()
	if n.down {
		return 0, errUnknown
	}
	count := 0
	for p := range n.rows[table] {
		if p.logID == r.LogID && p.partition == r.Partition && p.offset >= r.From && p.offset < r.To {
			count++
		}
	}
	return count, nil
}

// arrived tells when the record at a position arrived, as far as the log still knows.
func (w *world) arrived(table string, p position) int64 {
	l := w.logs[kafka.TopicPartition{Topic: "holdfast." + table, Partition: p.partition}]
	if p.offset < l.start || p.offset >= l.end() {
		return 0
	}
	return l.records[p.offset-l.start].Time
}

func (n *node) Counts(ctx context.Context, table string, _ schemas.Topic, spans []Span, block int64) (map[int32]map[int64]int, error) {
	if err := n.step(ctx); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	if n.down {
		return nil, errUnknown
	}
	out := map[int32]map[int64]int{}
	for _, s := range spans {
		out[s.Partition] = map[int64]int{}
		for o := s.From; o < s.To; o++ {
			for p := range n.rows[table] {
				if p.partition == s.Partition && p.offset == o && (s.LogID == "" || s.LogID == p.logID) {
					out[s.Partition][o/block]++
					break
				}
			}
		}
	}
	return out, nil
}

func (n *node) Held(ctx context.Context, table string, r Range) (map[Held]bool, error) {
	if err := n.step(ctx); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	if n.down {
		return nil, errUnknown
	}
	out := map[Held]bool{}
	for p := range n.rows[table] {
		if p.partition == r.Partition && p.offset >= r.From && p.offset < r.To {
			out[Held{p.offset, n.arrived(table, p)}] = true
		}
	}
	return out, nil
}

func (n *node) Rejected(ctx context.Context, r Range) ([]RejectedRow, error) {
	if err := n.step(ctx); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	var out []RejectedRow
	for _, rec := range n.logs[kafka.TopicPartition{Topic: "holdfast.rejected"}].records {
		var v schemas.Rejected
		if err := json.Unmarshal(rec.Value, &v); err != nil {
			return nil, err
		}
		row := RejectedRow{Offset: v.Offset}
		_, _ = fmt.Sscanf(v.Detail, "Code: %d", &row.Code)
		out = append(out, row)
	}
	return out, nil
}

func (n *node) SetAside(context.Context, error) (table, part string, _ error) { return "", "", nil }

func (n *node) InGap(ctx context.Context, r Range) (bool, error) {
	if err := n.step(ctx); err != nil {
		return false, err
	}
	defer n.mu.Unlock()
	for _, rec := range n.logs[kafka.TopicPartition{Topic: "holdfast.gaps"}].records {
		var g schemas.Gap
		if err := json.Unmarshal(rec.Value, &g); err != nil {
			return false, err
		}
		if g.Topic == r.Topic && g.From <= r.From && g.To >= r.To {
			return true, nil
		}
	}
	return false, nil
}

// positions decodes where a block's rows stood.
func positions(b *clickhouse.Block) ([]position, error) {
	var block proto.Block
	var results proto.Results
	data := new(bytes.Buffer)
	if _, err := data.ReadFrom(b.Reader()); err != nil {
		return nil, err
	}
	if err := block.DecodeRawBlock(proto.NewReader(data), 0, results.Auto()); err != nil {
		return nil, err
	}
	column := func(name string) proto.ColResult {
		for _, r := range results {
			if r.Name == name {
				return r.Data
			}
		}
		return nil
	}
	logs := column("log_id").(interface{ Row(int) string })
	partitions, offsets := column("partition").(*proto.ColInt32), column("offset").(*proto.ColInt64)
	out := make([]position, b.Rows())
	for i := range out {
		out[i] = position{logs.Row(i), partitions.Row(i), offsets.Row(i)}
	}
	return out, nil
}
