package memlog

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"holdfast/ingest/kafka"
	"holdfast/ingest/lane"
)

// group is a consumer group's coordinator.
type group struct {
	id         string
	lanes      int
	generation int32
	members    map[string]*member
	offsets    map[kafka.TopicPartition]kafka.Committed
	reached    map[kafka.TopicPartition]int64 // the highest that was ever committed
	joins      int
	forming    *Call // in a schedule: the next generation's
	moving     bool  // a new generation is wanted
}

// member is one membership. It either waits for a generation or holds one.
type member struct {
	id      string
	client  *Client
	waits   chan *lane.Generation // nil: holds a generation
	last    kafka.Assignment
	done    chan struct{} // of last; nil: closed
	noticed *Call
}

// Join becomes a member, at the first Next.
func (k *Client) Join(_ context.Context, cfg kafka.GroupConfig) (lane.Group, error) {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	g := k.c.groups[cfg.ID]
	if g == nil {
		g = &group{id: cfg.ID, lanes: cfg.Lanes, members: map[string]*member{}, offsets: map[kafka.TopicPartition]kafka.Committed{}, reached: map[kafka.TopicPartition]int64{}}
		k.c.groups[cfg.ID] = g
	}
	return &membership{client: k, group: g}, nil
}

type membership struct {
	client *Client
	group  *group
	me     *member
}

// Next waits for the next generation.
func (s *membership) Next(ctx context.Context) (*lane.Generation, error) {
	c := s.client.c
	if _, err := s.client.enter(ctx, "join", s.group.id); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if s.me == nil || s.group.members[s.me.id] != s.me {
		s.group.joins++
		s.me = &member{id: fmt.Sprintf("%s-%d", s.client.name, s.group.joins), client: s.client}
		s.group.members[s.me.id] = s.me
	}
	waits := make(chan *lane.Generation, 1)
	s.me.waits = waits
	c.settle(s.group)
	c.mu.Unlock()
	select {
	case gen := <-waits:
		return gen, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close leaves the group.
func (s *membership) Close() {
	if s.client.dead.Load() {
		return // a killed process says nothing; the group expels it
	}
	c := s.client.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expel(s.group, s.me)
}

// Expel takes a client's membership away, as the session timeout does. One that waits
// for a generation and lives is left alone.
func (c *Cluster) Expel(group, client string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[group]
	if g == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		if m := g.members[id]; m.client.name == client && (m.waits == nil || m.client.dead.Load()) {
			c.expel(g, m)
		}
	}
}

func (c *Cluster) expel(g *group, m *member) {
	if m == nil || g.members[m.id] != m {
		return
	}
	delete(g.members, m.id)
	c.notice(m)
	g.moving = true
	c.settle(g)
}

// notice lets a member know that its generation is over.
func (c *Cluster) notice(m *member) {
	if m.done == nil || m.noticed != nil {
		return
	}
	done := m.done
	tell := func() {
		m.noticed = nil
		if m.done == done {
			m.done = nil
		}
		close(done)
	}
	if !c.scheduled {
		tell()
		return
	}
	m.noticed = &Call{Client: m.client.name, Step: "notice", What: m.id, run: tell}
	c.add(m.noticed)
}

// settle brings the group towards its next generation. The lock is held.
func (c *Cluster) settle(g *group) {
	all := len(g.members) > 0
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		m := g.members[id]
		if m.waits != nil {
			g.moving = true
		} else {
			all = false
		}
	}
	if !g.moving {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		if m := g.members[id]; m.waits == nil {
			c.notice(m)
		}
	}
	if g.forming != nil {
		c.remove(g.forming)
		g.forming = nil
	}
	switch {
	case !all:
	case c.scheduled:
		g.forming = &Call{Step: "form", What: g.id, run: func() { g.forming = nil; g.form() }}
		c.add(g.forming)
	default:
		g.form()
	}
}

// form begins a new generation: each lane stays where it was if its share allows.
func (g *group) form() {
	g.moving = false
	g.generation++
	ids := slices.Sorted(maps.Keys(g.members))
	shares := g.share(ids)
	for i, id := range ids {
		m := g.members[id]
		done := make(chan struct{})
		gen := &lane.Generation{
			Assignment: kafka.Assignment{Group: g.id, Member: id, Generation: g.generation, Lanes: shares[i]},
			Done:       done, Release: func() {},
		}
		if m.last.Generation+1 == g.generation {
			for _, n := range shares[i] {
				if slices.Contains(m.last.Lanes, n) {
					gen.Kept = append(gen.Kept, n)
				}
			}
		}
		m.last, m.done, m.noticed = gen.Assignment, done, nil
		m.waits <- gen
		m.waits = nil
	}
}

func (g *group) share(ids []string) [][]int32 {
	shares := make([][]int32, len(ids))
	taken := make([]bool, g.lanes)
	quota := func(i int) int {
		if i < g.lanes%len(ids) {
			return g.lanes/len(ids) + 1
		}
		return g.lanes / len(ids)
	}
	for i, id := range ids {
		for _, n := range g.members[id].last.Lanes {
			if len(shares[i]) < quota(i) && !taken[n] {
				taken[n] = true
				shares[i] = append(shares[i], n)
			}
		}
	}
	for i := range ids {
		for n := range int32(g.lanes) {
			if len(shares[i]) < quota(i) && !taken[n] {
				taken[n] = true
				shares[i] = append(shares[i], n)
			}
		}
		slices.Sort(shares[i])
	}
	return shares
}
