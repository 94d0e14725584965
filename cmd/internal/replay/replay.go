// Package replay runs detection and policies over files, with no broker and no
// database: the very folds that lanes run, joined by queues instead of topics. It
// promises the same output for the same input, byte for byte. Every record is taken
// as live and as arriving when it happened, in the order of the files.
package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/gate"
	"holdfast/alerting/policy"
	"holdfast/alerting/respond"
	"holdfast/detectors"
	"holdfast/schemas"
)

// Config says what judges.
type Config struct {
	Policies   *policy.Set // nil: the built-in ones
	Parameters []byte      // detectors' parameters as JSON; nil: the defaults
	Brake      bool        // whether the gate may brake
	HashSecret []byte      // 32 bytes; nil: a fixed one, so that runs can be compared
	// Networks tells what is known of an address, as intake would have noted it; nil: nothing.
	Networks func(netip.Addr) schemas.Network
}

// Deps is where the findings go; each may be nil.
type Deps struct {
	Decisions func(value []byte) error
	Signals   func(value []byte) error
	Refused   func(line int64, err *schemas.Error)
}

// Summary says what was done.
type Summary struct {
	Lines, Events, Refused, Duplicates, Signals, Decisions int64
	Elapsed                                                time.Duration
}

type fold interface {
	Control(key string, value []byte) error
	Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error)
}

// Replay is one run. It is used from one goroutine.
type Replay struct {
	deps                  Deps
	networks              func(netip.Addr) schemas.Network
	detect, respond, gate fold
	offsets               map[schemas.Topic]int64
	seen                  map[schemas.Topic]*ring
	queue                 []schemas.Output
	arrival               int64          // of the line being replayed
	event                 *schemas.Event // the same, decoded ahead
	network               schemas.Network
	at                    int64 // its number
	sum                   Summary
}

// New joins the folds.
func New(cfg Config, deps Deps) (*Replay, error) {
	secret := cfg.HashSecret
	if secret == nil {
		secret = []byte("holdfast replay: a fixed secret!")
	}
	r := &Replay{
		deps: deps, networks: cfg.Networks,
		detect:  detectors.New(detectors.Config{Lanes: 1, HashSecret: secret, Parameters: cfg.Parameters}),
		respond: respond.New(respond.Config{Policies: cfg.Policies}),
		gate:    gate.New(gate.Config{BrakeOff: !cfg.Brake}),
		offsets: map[schemas.Topic]int64{},
		seen:    map[schemas.Topic]*ring{schemas.TopicEvents: newRing(), schemas.TopicInbox: newRing(), schemas.TopicProposals: newRing()},
	}
	in, err := json.Marshal(schemas.Installation{ID: "replay", Lanes: 1, LogID: "replay", HashSecret: secret})
	if err != nil {
		return nil, err
	}
	for _, f := range []fold{r.detect, r.respond, r.gate} {
		if err := f.Control(schemas.ControlInstallation, in); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// block is a run of lines, decoded ahead of the folding.
type block struct {
	lines []line
	err   error
}

type line struct {
	data  []byte
	n     int64
	key   string
	event schemas.Event
	net   schemas.Network
	err   *schemas.Error
}

// Run replays one file's lines. It may be called for several files, one after the
// other.
func (r *Replay) Run(ctx context.Context, in io.Reader) (Summary, error) {
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for b := range readAhead(ctx, in, r.networks) {
		if b.err != nil {
			return r.sum, b.err
		}
		for i := range b.lines {
			if err := r.line(&b.lines[i]); err != nil {
				return r.sum, err
			}
		}
		if ctx.Err() != nil {
			return r.sum, ctx.Err()
		}
	}
	r.sum.Elapsed += time.Since(start)
	return r.sum, ctx.Err()
}

func (r *Replay) line(l *line) error {
	r.sum.Lines++
	if l.err != nil {
		r.refuse(l.n, l.err)
		return nil //nolint:nilerr // a refused line costs its neighbours nothing
	}
	r.sum.Events++
	r.arrival, r.at, r.event, r.network = l.event.Time, l.n, &l.event, l.net
	r.queue = append(r.queue[:0], schemas.Output{Topic: schemas.TopicEvents, Kind: schemas.KindEvent, ID: l.event.ID, Key: l.key, Origin: schemas.OriginLive, Source: "replay", Value: l.data})
	for i := 0; i < len(r.queue); i++ {
		if err := r.deliver(r.queue[i]); err != nil {
			return err
		}
	}
	return nil
}

// deliver hands one record to the fold that reads its topic, or out.
func (r *Replay) deliver(o schemas.Output) error {
	var f fold
	switch o.Topic {
	case schemas.TopicEvents, schemas.TopicFacts:
		f = r.detect
	case schemas.TopicInbox:
		f = r.respond
		if o.Kind == schemas.KindSignal {
			if err := give(r.deps.Signals, o.Value, &r.sum.Signals); err != nil {
				return err
			}
		}
	case schemas.TopicProposals:
		f = r.gate
	case schemas.TopicDecisions:
		return give(r.deps.Decisions, o.Value, &r.sum.Decisions)
	default:
		return nil
	}
	in := schemas.Input{Topic: o.Topic, Offset: r.offsets[o.Topic], Arrival: r.arrival, Kind: o.Kind, ID: o.ID, Source: o.Source, Origin: o.Origin, Key: o.Key, Value: o.Value}
	if o.Topic == schemas.TopicEvents {
		in.Event, in.Network = r.event, r.network
	}
	r.offsets[o.Topic]++
	if s := r.seen[o.Topic]; s != nil {
		in.Duplicate = s.add(o.ID)
		if in.Duplicate && o.Topic == schemas.TopicEvents {
			r.sum.Duplicates++
		}
	}
	_, err := f.Apply(&in, func(out schemas.Output) { r.queue = append(r.queue, out) })
	if refused, ok := errors.AsType[*schemas.Error](err); ok {
		r.refuse(r.at, refused) // a lane rejects such a record and goes on
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %q on %s: %w", o.Kind, o.ID, o.Topic, err)
	}
	return nil
}

func (r *Replay) refuse(line int64, err *schemas.Error) {
	r.sum.Refused++
	if r.deps.Refused != nil {
		r.deps.Refused(line, err)
	}
}

func give(to func([]byte) error, value []byte, n *int64) error {
	*n++
	if to == nil {
		return nil
	}
	return to(value)
}

// ring knows the ids of the last DuplicateReach records of a topic.
type ring struct {
	ids  []string
	next int
	at   map[string]int
}

func newRing() *ring {
	return &ring{ids: make([]string, schemas.DuplicateReach), at: make(map[string]int, schemas.DuplicateReach)}
}

func (g *ring) add(id string) bool {
	_, known := g.at[id]
	if old := g.ids[g.next]; old != "" && g.at[old] == g.next {
		delete(g.at, old)
	}
	g.ids[g.next], g.at[id] = id, g.next
	g.next = (g.next + 1) % len(g.ids)
	return known
}

const blockBytes = 1 << 20

// readAhead reads and decodes blocks of lines beside the folding, at most four
// ahead. A line longer than a record may be is refused, not kept.
func readAhead(ctx context.Context, in io.Reader, networks func(netip.Addr) schemas.Network) <-chan block {
	out := make(chan block, 4)
	go func() {
		defer close(out)
		br := bufio.NewReaderSize(in, blockBytes)
		var n int64
		for {
			b, err := readBlock(br, &n, networks)
			if len(b.lines) > 0 {
				select {
				case out <- b:
				case <-ctx.Done():
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				select {
				case out <- block{err: fmt.Errorf("read: %w", err)}:
				case <-ctx.Done():
				}
				return
			}
		}
	}()
	return out
}

func readBlock(br *bufio.Reader, n *int64, networks func(netip.Addr) schemas.Network) (block, error) {
	var b block
	var d schemas.Decoder
	buf := make([]byte, 0, blockBytes)
	for len(buf) < blockBytes/2 && len(b.lines) < 4096 {
		start := len(buf)
		var err error
		var long bool
		buf, long, err = readLine(br, buf)
		data := bytes.TrimSpace(buf[start:])
		if len(data) > 0 || long {
			*n++
			l := line{data: slices.Clip(data), n: *n}
			if long {
				l.err = &schemas.Error{Reason: schemas.ReasonTooLarge, What: fmt.Sprintf("more than %d bytes", schemas.MaxRecord), Fix: "split the record"}
			} else if l.err = d.Decode(data, &l.event); l.err == nil {
				l.key = l.event.Entity().Key()
				if networks != nil && l.event.IP.IsValid() {
					l.net = networks(l.event.IP)
				}
			}
			b.lines = append(b.lines, l)
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// readLine appends one line to buf; of a line beyond the limit only that it was
// long is kept.
func readLine(br *bufio.Reader, buf []byte) (_ []byte, long bool, _ error) {
	start := len(buf)
	for {
		part, err := br.ReadSlice('\n')
		if long = long || len(buf)-start+len(part) > schemas.MaxRecord+1; long {
			buf = buf[:start]
		} else {
			buf = append(buf, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return buf, long, err
	}
}
