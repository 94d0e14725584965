package proof

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Prover brings the log of proof up to date and signs it. Of several processes one
// works, the one that the group "proof" gives the topic's only partition.
type Prover struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	topic   kafka.TopicPartition

	tree  *Tree
	gen   *kafka.Generation
	sent  map[string]int64 // size of the last checkpoint that each target took
	wrong error            // why nothing is signed any more
}

// New prepares a prover; it does nothing before Run.
func New(cfg Config, deps Deps) (*Prover, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	return &Prover{
		cfg: cfg, deps: deps, log: deps.Logger.With("role", "proof"), metrics: newMetrics(deps.Metrics),
		topic: kafka.TopicPartition{Topic: cfg.Prefix + string(schemas.TopicProof)}, sent: map[string]int64{},
	}, nil
}

// Run works until the context ends, which is no error. What fails is tried again.
func (p *Prover) Run(ctx context.Context) error {
	group, err := p.deps.Broker.Join(ctx, kafka.GroupConfig{ID: p.cfg.Prefix + "proof", Topics: []string{p.topic.Topic}, Lanes: 1})
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	defer group.Close()
	for {
		gen, err := group.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("proof: %w", err)
		}
		p.gen = gen
		if len(gen.Lanes) > 0 {
			p.own(ctx)
		}
		gen.Release()
		select {
		case <-gen.Done():
		case <-ctx.Done():
			return nil
		}
	}
}

// own works for one generation of the group.
func (p *Prover) own(ctx context.Context) {
	p.tree = nil // another process may have had it
	for {
		pause := time.Until(time.Now().Truncate(p.cfg.Every).Add(p.cfg.Every + p.cfg.Slack))
		if pause > p.cfg.Every {
			pause -= p.cfg.Every
		}
		if err := p.Round(ctx); err != nil && ctx.Err() == nil {
			if errors.Is(err, kafka.ErrStaleGeneration) {
				return
			}
			p.metrics.failures.WithLabelValues("prover").Inc()
			p.log.Warn("the log of proof is behind; it is tried again", "error", err)
			pause = min(pause, 10*time.Second)
			p.tree = nil
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-p.gen.Done():
			t.Stop()
			return
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// Round covers what the journals hold, signs a checkpoint and sends it.
func (p *Prover) Round(ctx context.Context) error {
	if p.tree == nil {
		tree, err := OpenTree(p.cfg.Dir)
		if err != nil {
			return err
		}
		p.tree = tree
	}
	if err := p.follow(ctx); err != nil {
		return err
	}
	if p.tree.Fold().Log != p.cfg.LogID {
		ends, err := p.ends(ctx)
		if err != nil {
			return err
		}
		e := Entry{Kind: KindLog, Log: p.cfg.LogID, Ends: ends}
		if p.tree.Fold().Log == "" {
			if e.Known, err = knownLogs(ctx, p.deps.Store); err != nil {
				return err
			}
		}
		if err := p.write(ctx, []Entry{e}); err != nil {
			return err
		}
		if err := p.follow(ctx); err != nil {
			return err
		}
	}
	if err := p.cover(ctx); err != nil {
		return err
	}
	if err := p.checkpoint(ctx); err != nil {
		return err
	}
	if p.deps.After != nil {
		return p.deps.After(ctx)
	}
	return nil
}

// ends tells where partitions go on under another log id: a new log from its beginning,
// one whose end was lost from where it ends now.
func (p *Prover) ends(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	for _, t := range schemas.Tables() {
		var tps []kafka.TopicPartition
		for lane := range int32(p.cfg.Lanes) { // #nosec G115 -- a number of partitions
			tps = append(tps, kafka.TopicPartition{Topic: p.cfg.Prefix + string(t.Topic), Partition: lane})
		}
		logs, err := p.deps.Broker.Offsets(ctx, tps)
		if err != nil {
			return nil, err
		}
		for _, tp := range tps {
			c := p.tree.Fold().Of(t.Topic, tp.Partition)
			switch {
			case c.Seq > 0 && p.cfg.NewLog:
				out[partitionKey(t.Topic, tp.Partition)] = logs[tp].Start
			case c.To > logs[tp].End:
				out[partitionKey(t.Topic, tp.Partition)] = logs[tp].End
			}
		}
	}
	return out, nil
}

// current makes sure that this process still has its place.
func (p *Prover) current(ctx context.Context) error {
	if p.gen == nil {
		return nil
	}
	return p.deps.Broker.Commit(ctx, p.gen.Assignment, map[kafka.TopicPartition]kafka.Committed{p.topic: {Offset: p.tree.state.Next}})
}

// write appends leaves to the topic.
func (p *Prover) write(ctx context.Context, entries []Entry) error {
	if err := p.current(ctx); err != nil {
		return err
	}
	return WriteEntries(ctx, p.deps.Broker, p.cfg.Prefix, entries)
}

// WriteEntries appends leaves to the topic "proof".
func WriteEntries(ctx context.Context, c *kafka.Client, prefix string, entries []Entry) error {
	records := make([]kafka.Record, len(entries))
	for i := range entries {
		b, err := entries[i].Bytes()
		if err != nil {
			return err
		}
		records[i] = kafka.Record{Key: []byte(entries[i].Kind), Value: b, Time: time.Now().UnixMilli(), Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindProof)}}}
	}
	return c.Write(ctx, kafka.TopicPartition{Topic: prefix + string(schemas.TopicProof)}, records)
}

// follow takes the topic's records into the tree, and copies its leaves to the store.
func (p *Prover) follow(ctx context.Context) error {
	t := p.tree
	ranges, err := p.deps.Broker.Offsets(ctx, []kafka.TopicPartition{p.topic})
	if err != nil {
		return err
	}
	r := ranges[p.topic]
	at := t.state.Next
	switch {
	case at < r.Start && t.size == 0:
		at = r.Start
	case at < r.Start:
		return fmt.Errorf("proof: the topic %s begins at %d and the tree goes on at %d: records of it were deleted", p.topic.Topic, r.Start, at)
	case at > r.End:
		p.log.Error("the end of the topic was lost; the tree in the folder has its leaves", "topic", p.topic.Topic, "ends", r.End, "was_read_to", at)
		at = r.End
	}
	for at < r.End {
		got, err := p.deps.Broker.Fetch(ctx, []kafka.Position{{TopicPartition: p.topic, Offset: at}}, kafka.FetchOptions{MaxWait: time.Second, MaxBytes: 4 << 20})
		if err == nil {
			err = got[0].Err
		}
		if err != nil {
			return err
		}
		from := t.size
		var leaves [][]byte
		for i := range got[0].Records {
			leaf := got[0].Records[i].Value
			e, err := ReadEntry(leaf)
			if err != nil {
				p.log.Warn("a record of the log of proof is no leaf", "offset", got[0].Records[i].Offset, "error", err)
				continue
			}
			if !t.Fold().Apply(&e) {
				continue
			}
			if err := t.Append(leaf); err != nil {
				return err
			}
			leaves = append(leaves, slices.Clone(leaf))
		}
		at = got[0].Next
		if err := storeLog(ctx, p.deps.Store, from, leaves); err != nil {
			return err
		}
		if err := t.Flush(p.cfg.LogID, at); err != nil {
			return err
		}
	}
	p.metrics.leaves.Set(float64(t.size))
	return nil
}

const checkpointFile = "checkpoint"

// checkpoint signs the tree as it is, keeps the note in the folder and sends it.
func (p *Prover) checkpoint(ctx context.Context) error {
	if p.wrong == nil {
		p.wrong = p.contradicts()
	}
	if p.wrong != nil {
		return p.wrong
	}
	root, err := p.tree.Root(p.tree.size)
	if err != nil {
		return err
	}
	c := &Checkpoint{Origin: p.deps.Keys.Signer.Name(), Size: p.tree.size, Root: root, Time: time.Now().UTC().Truncate(time.Second)}
	if err := c.sign(p.deps.Keys.Signer); err != nil {
		return fmt.Errorf("proof: sign: %w", err)
	}
	if err := writeFile(filepath.Join(p.cfg.Dir, checkpointFile), c.Note); err != nil {
		return err
	}
	p.metrics.signed.Set(float64(c.Time.Unix()))
	for _, t := range p.deps.Targets {
		if size, ok := p.sent[t.String()]; ok && size == c.Size {
			continue // nothing new to be held against
		}
		if err := t.Put(ctx, c); err != nil {
			p.metrics.failures.WithLabelValues(t.String()).Inc()
			p.log.Warn("a checkpoint could not be sent; the next one will be", "target", t.String(), "error", err)
			continue
		}
		p.sent[t.String()] = c.Size
		p.metrics.checkpoints.WithLabelValues(t.String()).Inc()
	}
	return nil
}

// contradicts holds the tree against the last checkpoint in its folder.
func (p *Prover) contradicts() error {
	b, err := os.ReadFile(filepath.Join(p.cfg.Dir, checkpointFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	c, err := OpenCheckpoint(b, p.deps.Keys.Verifier)
	if err != nil {
		return fmt.Errorf("proof: %s: %w", filepath.Join(p.cfg.Dir, checkpointFile), err)
	}
	if c.Size > p.tree.size {
		return fmt.Errorf("proof: the last checkpoint has %d leaves and the log has %d: its end was lost: nothing is signed until the topic or the folder is restored", c.Size, p.tree.size)
	}
	var root tlog.Hash
	if root, err = p.tree.Root(c.Size); err == nil && root != c.Root {
		err = fmt.Errorf("proof: the first %d leaves are not those of the last checkpoint: nothing is signed until the topic or the folder is restored", c.Size)
	}
	return err
}
