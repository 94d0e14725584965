package proof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"holdfast/schemas"
)

// Run is an incident's scope that was committed to: what was asked, by which versions,
// over what of the journals, and what came of it for every account.
type Run struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	By       string    `json:"by"`
	Why      string    `json:"why"`
	Code     string    `json:"code"`     // version of Holdfast
	Policies string    `json:"policies"` // version in control
	Scope    *Scope    `json:"scope"`
	Covered  []Covered `json:"covered"`
	Gaps     []string  `json:"gaps"`
	All      []string  `json:"all"` // accounts, sorted; one statement each
}

// Covered is a stretch of a journal that the log of proof covers.
type Covered struct {
	Topic     schemas.Topic `json:"topic"`
	Partition int32         `json:"partition"`
	From      int64         `json:"from"`
	To        int64         `json:"to"`    // not included
	Since     time.Time     `json:"since"` // arrival of its first record
	Until     time.Time     `json:"until"` // and of its last
}

// The results for an account.
const (
	ResultNot     = "not affected"
	ResultIs      = "affected"
	ResultUnknown = "cannot be told"
)

// Result is what the run says of an account.
func (r *Run) Result(account string) string {
	if slices.ContainsFunc(r.Scope.Reached, func(x Reach) bool { return x.Account == account }) {
		return ResultIs
	}
	if r.Scope.Blind > 0 {
		return ResultUnknown
	}
	return ResultNot
}

// statement is what is committed to for one account.
func (r *Run) statement(account string) []byte {
	return appendText(appendText(appendText(nil, r.ID), account), r.Result(account))
}

// commitments are those to all statements.
func (r *Run) commitments(seed Seed) (at []int64, out []Hash) {
	var h hasher
	for i, account := range r.All {
		at = append(at, int64(i))
		out = append(out, h.commit(seed.Salt(int64(i)), r.statement(account)))
	}
	return at, out
}

// entry is the run's leaf.
func (r *Run) entry(body []byte, seed Seed) (Entry, error) {
	root, err := rootOf(r.commitments(seed))
	var h hasher
	return Entry{
		Kind: KindScope, ID: r.ID, Time: r.Time.UnixMilli(), By: r.By, Rows: len(r.All), Root: root,
		Digest: h.commit(seed.Salt(-1), body),
	}, err
}

// Commit completes a run, keeps it and puts it into the log of proof.
func Commit(ctx context.Context, conn driver.Conn, write func(context.Context, Entry) error, r *Run) error {
	r.ID, r.Time = "run_"+ulid.Make().String(), time.Now().UTC().Truncate(time.Millisecond)
	var err error
	if r.All, err = Accounts(ctx, conn, r.Scope.To); err != nil {
		return err
	}
	for _, x := range r.Scope.Reached { // staff may look at accounts that have no event
		r.All = append(r.All, x.Account)
	}
	slices.Sort(r.All)
	r.All = slices.Compact(r.All)
	if r.Covered, err = covered(ctx, conn); err != nil {
		return err
	}
	if len(r.Covered) == 0 {
		return errors.New("the log of proof covers no event yet: is a process with the role record running?")
	}
	if r.Gaps, err = gaps(ctx, conn, r); err != nil {
		return err
	}
	body, err := json.Marshal(r, json.Deterministic(true))
	if err != nil {
		return err
	}
	seed := newSeed()
	e, err := r.entry(body, seed)
	if err != nil {
		return err
	}
	insert, err := conn.PrepareBatch(ctx, "INSERT INTO proof_runs (id, time, body, seed)")
	if err != nil {
		return fmt.Errorf("proof: keep a run: %w", err)
	}
	defer func() { _ = insert.Close() }()
	if err := errors.Join(insert.Append(r.ID, r.Time, string(body), string(seed[:])), insert.Send()); err != nil {
		return fmt.Errorf("proof: keep a run: %w", err)
	}
	return write(ctx, e)
}

// covered tells what the log of proof covers of the events.
func covered(ctx context.Context, conn driver.Conn) ([]Covered, error) {
	rows, err := conn.Query(ctx, "SELECT partition, min(JSONExtractInt(body, 'from')), argMax(JSONExtractInt(body, 'to'), seq), min(JSONExtractInt(body, 'first')), max(JSONExtractInt(body, 'last')) FROM "+TableLog+" WHERE kind = 'batch' AND topic = 'events' GROUP BY partition ORDER BY partition")
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Covered
	for rows.Next() {
		c := Covered{Topic: schemas.TopicEvents}
		var first, last int64
		if err := rows.Scan(&c.Partition, &c.From, &c.To, &first, &last); err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
		c.Since, c.Until = moment(first), moment(last)
		out = append(out, c)
	}
	return out, rows.Err()
}

// gaps lists what of the events could not be seen: stretches that were recorded as gaps,
// stretches between batches, and rows that no batch covers.
func gaps(ctx context.Context, conn driver.Conn, r *Run) ([]string, error) {
	out := []string{}
	add := func(sql string, say func(partition int32, from, to int64, text string) string) error {
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			return fmt.Errorf("proof: gaps: %w", err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var partition int32
			var from, to int64
			var text string
			if err := rows.Scan(&partition, &from, &to, &text); err != nil {
				return fmt.Errorf("proof: gaps: %w", err)
			}
			out = append(out, say(partition, from, to, text))
		}
		return rows.Err()
	}
	err := add("SELECT DISTINCT gap_partition, gap_from, gap_to, reason FROM gaps WHERE gap_topic = 'events' ORDER BY gap_partition, gap_from", func(p int32, from, to int64, text string) string {
		return fmt.Sprintf("events/%d, offsets %d to %d: %s", p, from, to, text)
	})
	if err != nil {
		return nil, err
	}
	err = add(`SELECT partition, toInt64(before), toInt64(start), '' FROM (
    SELECT partition, JSONExtractInt(body, 'from') AS start, JSONExtractString(body, 'log') AS log,
        lagInFrame(JSONExtractInt(body, 'to'), 1, JSONExtractInt(body, 'from')) OVER (PARTITION BY partition, JSONExtractString(body, 'log') ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM proof_log WHERE kind = 'batch' AND topic = 'events') WHERE before < start ORDER BY partition, before`, func(p int32, from, to int64, _ string) string {
		return fmt.Sprintf("events/%d, offsets %d to %d: the journal had lost them when the log of proof came to it", p, from, to)
	})
	if err != nil {
		return nil, err
	}
	for _, c := range r.Covered {
		if c.From > 0 {
			out = append(out, fmt.Sprintf("events/%d, offsets 0 to %d: before the log of proof began", c.Partition, c.From))
		}
	}
	return out, nil
}

// ReadRun reads a run and its seed, and holds them against its leaf.
func ReadRun(ctx context.Context, conn driver.Conn, id string) (*Run, Seed, *Entry, error) {
	var body, seed string
	if err := conn.QueryRow(ctx, "SELECT body, seed FROM proof_runs WHERE id = ? LIMIT 1", id).Scan(&body, &seed); err != nil {
		return nil, Seed{}, nil, fmt.Errorf("there is no run %q: %w", id, err)
	}
	r := &Run{}
	if err := json.Unmarshal([]byte(body), r); err != nil || len(seed) != len(Seed{}) {
		return nil, Seed{}, nil, fmt.Errorf("the run %s cannot be read: %w", id, errors.Join(err, errors.New("its seed has not 32 bytes")))
	}
	s := Seed([]byte(seed))
	e, err := r.entry([]byte(body), s)
	return r, s, &e, err
}
