package memlog

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"holdfast/ingest/kafka"
)

// Cluster is the broker.
type Cluster struct {
	mu        sync.Mutex
	topics    map[string][]*partition
	producers map[string]*kafka.Producer
	groups    map[string]*group
	news      chan struct{} // closed when anything was written
	scheduled bool
	waiting   []*Call
	arrivals  int
	late      []func()
	scratches map[*kafka.Scratch][]loan
}

// New makes an empty cluster.
func New() *Cluster {
	return &Cluster{
		topics: map[string][]*partition{}, producers: map[string]*kafka.Producer{}, groups: map[string]*group{},
		news: make(chan struct{}), scratches: map[*kafka.Scratch][]loan{},
	}
}

// CreateTopic makes a topic.
func (c *Cluster) CreateTopic(name string, partitions int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range partitions {
		c.topics[name] = append(c.topics[name], &partition{written: map[int64]*written{}})
	}
}

// partition holds one log.
type partition struct {
	records []kafka.Record // by offset; compaction leaves gaps
	all     []kafka.Record // also what compaction removed
	start   int64
	next    int64
	written map[int64]*written // by producer id
}

// written is what a partition knows of a producer: its newest epoch and the last
// batches under it.
type written struct {
	epoch  int16
	next   int32
	recent []recent
}

type recent struct {
	sequence int32
	base     int64
}

// remembered is how many batches of a producer a partition knows again, as Kafka.
const remembered = 5

func (c *Cluster) partition(tp kafka.TopicPartition) (*partition, error) {
	parts := c.topics[tp.Topic]
	if int(tp.Partition) >= len(parts) {
		return nil, fmt.Errorf("%w: %s", kafka.ErrUnknownTopic, tp)
	}
	return parts[tp.Partition], nil
}

// Append writes records without a producer.
func (c *Cluster) Append(tp kafka.TopicPartition, records ...kafka.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.partition(tp)
	if err != nil {
		panic(err)
	}
	p.append(records)
	c.changed()
}

// changed wakes those who wait for something to read. The lock is held.
func (c *Cluster) changed() {
	close(c.news)
	c.news = make(chan struct{})
}

func (p *partition) append(records []kafka.Record) int64 {
	base := p.next
	now := time.Now().UnixMilli()
	for i := range records {
		r := clone(&records[i])
		r.Offset = p.next
		if r.Time == 0 {
			r.Time = now
		}
		p.records = append(p.records, r)
		p.all = append(p.all, r)
		p.next++
	}
	return base
}

func clone(r *kafka.Record) kafka.Record {
	c := kafka.Record{Time: r.Time, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value), Headers: slices.Clone(r.Headers)}
	for i := range c.Headers {
		c.Headers[i].Value = bytes.Clone(c.Headers[i].Value)
	}
	return c
}

// produce writes a batch under an epoch, or knows it again.
func (p *partition) produce(id kafka.Producer, sequence int32, records []kafka.Record) (int64, error) {
	w := p.written[id.ID]
	switch {
	case w != nil && id.Epoch < w.epoch:
		return -1, fmt.Errorf("%w: epoch %d after %d", kafka.ErrFenced, id.Epoch, w.epoch)
	case w == nil || id.Epoch > w.epoch:
		if sequence != 0 {
			return -1, fmt.Errorf("%w: a new epoch begins at %d", kafka.ErrSequence, sequence)
		}
		w = &written{epoch: id.Epoch}
		p.written[id.ID] = w
	}
	for _, r := range w.recent {
		if r.sequence == sequence {
			return r.base, nil
		}
	}
	switch {
	case sequence < w.next:
		return -1, nil
	case sequence > w.next:
		return -1, fmt.Errorf("%w: %d where %d is next", kafka.ErrSequence, sequence, w.next)
	}
	w.next = kafka.NextSequence(w.next, len(records))
	base := p.append(records)
	w.recent = append(w.recent, recent{sequence, base})
	if len(w.recent) > remembered {
		w.recent = w.recent[1:]
	}
	return base, nil
}

// Compact keeps, of the records up to an offset, only each key's last in the log.
func (c *Cluster) Compact(tp kafka.TopicPartition, upto int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.partition(tp)
	if err != nil {
		panic(err)
	}
	last := map[string]int64{}
	for i := range p.records {
		last[string(p.records[i].Key)] = p.records[i].Offset
	}
	p.records = slices.DeleteFunc(slices.Clone(p.records), func(r kafka.Record) bool {
		return r.Offset <= upto && r.Offset != last[string(r.Key)]
	})
}

// Truncate forgets all records before an offset, as retention does.
func (c *Cluster) Truncate(tp kafka.TopicPartition, start int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.partition(tp)
	if err != nil {
		panic(err)
	}
	p.start = start
	p.records = slices.DeleteFunc(slices.Clone(p.records), func(r kafka.Record) bool { return r.Offset < start })
}

// Records gives what a partition holds now.
func (c *Cluster) Records(tp kafka.TopicPartition) []kafka.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.partition(tp)
	if err != nil {
		panic(err)
	}
	return slices.Clone(p.records)
}

// Written gives all that was ever written to a partition.
func (c *Cluster) Written(tp kafka.TopicPartition) []kafka.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.partition(tp)
	if err != nil {
		panic(err)
	}
	return slices.Clone(p.all)
}

// End is the offset that a partition's next record gets.
func (c *Cluster) End(tp kafka.TopicPartition) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.partition(tp)
	if err != nil {
		panic(err)
	}
	return p.next
}

// Reached gives the highest offset that a group ever committed. A copy of a commit that
// arrives late can set the committed offset back.
func (c *Cluster) Reached(group string, tp kafka.TopicPartition) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.groups[group]; g != nil {
		return g.reached[tp]
	}
	return 0
}

// Committed gives a group's committed offset, or -1.
func (c *Cluster) Committed(group string, tp kafka.TopicPartition) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.groups[group]; g != nil {
		if o, ok := g.offsets[tp]; ok {
			return o.Offset
		}
	}
	return -1
}
