package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// GroupConfig says which group to join and what it shares out.
type GroupConfig struct {
	ID     string
	Topics []string // all must exist
	Lanes  int      // partition numbers 0..Lanes-1 are shared out
	// ClientID is how the member names itself to the others (default the client's).
	ClientID string
	// SessionTimeout is how long the group waits for a silent member (default 10 s).
	SessionTimeout time.Duration
	// RebalanceTimeout is how long the others wait for a member to let go and
	// come back (default 30 s).
	RebalanceTimeout time.Duration
	// Heartbeat is the time between signs of life, and so the time until a
	// member learns that the group changes (default 1 s).
	Heartbeat time.Duration
}

func (g *GroupConfig) setDefaults() error {
	if g.ID == "" || len(g.Topics) == 0 || g.Lanes <= 0 {
		return fmt.Errorf("kafka: group %q: name the group, its topics and the number of lanes", g.ID)
	}
	setDefault(&g.SessionTimeout, 10*time.Second)
	setDefault(&g.RebalanceTimeout, 30*time.Second)
	setDefault(&g.Heartbeat, time.Second)
	return nil
}

// Group is one membership. One goroutine calls Next; Close ends it.
type Group struct {
	client *Client
	cfg    GroupConfig
	bal    *balancer
	joined *kafkago.ConsumerGroup
	quit   chan struct{}
	once   sync.Once

	mu    sync.Mutex
	last  Assignment // of the last generation, also when it is over
	conns map[net.Conn]struct{}
}

// Join becomes a member of a group. The coordinator is not asked before Next.
func (c *Client) Join(ctx context.Context, cfg GroupConfig) (*Group, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	for _, topic := range cfg.Topics {
		if _, err := c.Partitions(ctx, topic); err != nil {
			return nil, fmt.Errorf("kafka: group %s: %w", cfg.ID, err)
		}
	}
	g := &Group{
		client: c, cfg: cfg, bal: &balancer{lanes: cfg.Lanes},
		quit: make(chan struct{}), conns: map[net.Conn]struct{}{},
	}
	log := c.cfg.Logger.With("group", cfg.ID)
	var err error
	g.joined, err = kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: cfg.ID, Brokers: c.cfg.Brokers, Dialer: g.dialer(), Topics: cfg.Topics,
		GroupBalancers: []kafkago.GroupBalancer{g.bal}, HeartbeatInterval: cfg.Heartbeat,
		SessionTimeout: cfg.SessionTimeout, RebalanceTimeout: cfg.RebalanceTimeout,
		JoinGroupBackoff: 250 * time.Millisecond, Timeout: c.cfg.RequestTimeout,
		ErrorLogger: kafkago.LoggerFunc(func(format string, args ...any) {
			log.Debug("consumer group", "message", fmt.Sprintf(format, args...))
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("kafka: joining group %s: %w", cfg.ID, err)
	}
	return g, nil
}

// Next waits for the next generation that this member is part of. Release the
// one before first: the group forms no new one with this member until then.
// Errors that pass by themselves are waited out.
func (g *Group) Next(ctx context.Context) (*Generation, error) {
	for {
		gen, err := g.joined.Next(ctx)
		switch {
		case err == nil:
			return g.begin(gen), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, kafkago.ErrGroupClosed):
			return nil, ErrClosed
		case Retriable(err), errors.Is(known(err), ErrStaleGeneration):
			g.client.cfg.Logger.Debug("joining again", "group", g.cfg.ID, "error", err)
		default:
			return nil, fmt.Errorf("kafka: joining group %s: %w", g.cfg.ID, err)
		}
	}
}

func (g *Group) begin(gen *kafkago.Generation) *Generation {
	n := &Generation{
		Assignment: Assignment{Group: gen.GroupID, Member: gen.MemberID, Generation: gen.ID, Lanes: lanesOf(gen)},
		done:       make(chan struct{}), released: make(chan struct{}),
	}
	g.mu.Lock()
	if g.last.Member != "" && g.last.Generation+1 == gen.ID {
		for _, lane := range n.Lanes {
			if slices.Contains(g.last.Lanes, lane) {
				n.Kept = append(n.Kept, lane)
			}
		}
	}
	g.last = n.Assignment
	g.mu.Unlock()
	g.bal.hold(gen.ID, n.Lanes)
	gen.Start(func(ctx context.Context) {
		<-ctx.Done()
		close(n.done)
		g.linger(n)
	})
	return n
}

func lanesOf(gen *kafkago.Generation) []int32 {
	var lanes []int32
	for _, partitions := range gen.Assignments {
		for _, p := range partitions {
			lanes = append(lanes, int32(p.ID))
		}
	}
	slices.Sort(lanes)
	return slices.Compact(lanes)
}

// linger keeps the membership alive while the member lets go of its lanes.
func (g *Group) linger(n *Generation) {
	beat := time.NewTicker(g.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-n.released:
			return
		case <-g.quit:
			return
		case <-beat.C:
			ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Heartbeat)
			// The answer is that a rebalance is on; that it came is what counts.
			_, _ = g.client.api.Heartbeat(ctx, &kafkago.HeartbeatRequest{
				GroupID: n.Group, GenerationID: n.Generation, MemberID: n.Member,
			})
			cancel()
		}
	}
}

// Generation is one agreement on who owns what.
type Generation struct {
	Assignment
	// Kept are the lanes that this member held in the generation just before as
	// well, with none between in which another could have owned them.
	Kept []int32

	done     chan struct{}
	released chan struct{}
	once     sync.Once
}

// Done is closed as soon as the member learns that the generation is over.
func (n *Generation) Done() <-chan struct{} { return n.done }

// Release says that the member has let go: after Done it joins the next
// generation. It may be called early, often and from anywhere.
func (n *Generation) Release() { n.once.Do(func() { close(n.released) }) }

// Close leaves the group, so that the others take the lanes over at once, and
// waits until that is done. Stop the lanes first.
func (g *Group) Close() {
	g.once.Do(func() { close(g.quit) })
	left := make(chan struct{})
	go func() {
		_ = g.joined.Close() // never fails
		close(left)
	}()
	for _, step := range []struct {
		after time.Duration
		do    func()
	}{
		// Waiting for the others in a rebalance: leaving ends that wait.
		{300 * time.Millisecond, g.leave},
		{time.Second, g.cut},
	} {
		select {
		case <-left:
			return
		case <-time.After(step.after):
			step.do()
		}
	}
	<-left
}

func (g *Group) leave() {
	g.mu.Lock()
	last := g.last
	g.mu.Unlock()
	if last.Member == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := g.client.api.LeaveGroup(ctx, &kafkago.LeaveGroupRequest{
		GroupID: last.Group, Members: []kafkago.LeaveGroupRequestMember{{ID: last.Member}},
	})
	if err != nil {
		g.client.cfg.Logger.Debug("cannot leave the group", "group", last.Group, "error", err)
	}
}

// dialer names the member as the group's configuration says.
func (g *Group) dialer() *kafkago.Dialer {
	d := g.client.dialer(g.dial)
	if g.cfg.ClientID != "" {
		d.ClientID = g.cfg.ClientID
	}
	return d
}

// dial connects the membership and remembers the connection for cut.
func (g *Group) dial(ctx context.Context, network, address string) (net.Conn, error) {
	select {
	case <-g.quit: // leaving needs one more, but must not wait for long
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	default:
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns[conn] = struct{}{}
	return &counted{conn, g}, nil
}

// cut closes the membership's connections, and so ends what waits on them.
func (g *Group) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn := range g.conns {
		_ = conn.Close()
	}
}

// counted is a connection that its group forgets when it is closed.
type counted struct {
	net.Conn
	group *Group
}

func (c *counted) Close() error {
	c.group.mu.Lock()
	delete(c.group.conns, c.Conn)
	c.group.mu.Unlock()
	return c.Conn.Close()
}
