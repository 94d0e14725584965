package kafka_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
)

// memberVariable makes a copy of this test's binary a member of a group in a
// process of its own, which can be paused.
const memberVariable = "HOLDFAST_TEST_MEMBER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(memberVariable); spec != "" {
		runMember(strings.Fields(spec))
		return
	}
	os.Exit(m.Run())
}

// runMember joins a group and prints each generation: its number, how many lanes
// it has and how many of them it kept.
func runMember(spec []string) {
	c, err := kafka.New(kafka.Config{Brokers: []string{spec[0]}})
	if err != nil {
		panic(err)
	}
	g, err := c.Join(context.Background(), groupConfig(spec[1], spec[2]))
	if err != nil {
		panic(err)
	}
	for {
		gen, err := g.Next(context.Background())
		if err != nil {
			panic(err)
		}
		fmt.Println(gen.Generation, len(gen.Lanes), len(gen.Kept))
		<-gen.Done()
		gen.Release()
	}
}

const lanes = 8

func groupConfig(group, topic string) kafka.GroupConfig {
	return kafka.GroupConfig{
		ID: group, Topics: []string{topic}, Lanes: lanes,
		SessionTimeout: 6 * time.Second, Heartbeat: 200 * time.Millisecond,
	}
}

// member is a member in this process that lets go as soon as it is asked to.
type member struct {
	group *kafka.Group
	next  chan *kafka.Generation
	ended chan struct{}
}

func join(t *testing.T, c *kafka.Client, cfg kafka.GroupConfig) *member {
	t.Helper()
	g, err := c.Join(timeout(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{group: g, next: make(chan *kafka.Generation, 100), ended: make(chan struct{})}
	go func() {
		defer close(m.ended)
		for {
			gen, err := g.Next(context.Background())
			if err != nil {
				if !errors.Is(err, kafka.ErrClosed) {
					t.Error(err)
				}
				return
			}
			m.next <- gen
			<-gen.Done()
			gen.Release()
		}
	}()
	t.Cleanup(m.close)
	return m
}

func (m *member) close() {
	m.group.Close()
	<-m.ended
}

// until waits for a generation with that many lanes.
func (m *member) until(t *testing.T, n int) *kafka.Generation {
	t.Helper()
	late := time.After(40 * time.Second)
	for {
		select {
		case gen := <-m.next:
			if len(gen.Lanes) == n {
				return gen
			}
		case <-late:
			t.Fatalf("no generation with %d lanes in 40 s", n)
		}
	}
}

func TestMembersShareAndStick(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c := newClient(t, brokers)
		cfg := groupConfig(kafkatest.Name(t), kafkatest.Topic(t, brokers, lanes))
		cfg.Topics = append(cfg.Topics, kafkatest.Topic(t, brokers, lanes), kafkatest.Topic(t, brokers, 1))
		first := join(t, c, cfg)
		all := first.until(t, lanes)
		second := join(t, c, cfg)
		a, b := first.until(t, lanes/2), second.until(t, lanes/2)
		if !slices.Equal(a.Kept, a.Lanes) || len(b.Kept) != 0 {
			t.Errorf("the first of two kept %v of %v, the second %v", a.Kept, a.Lanes, b.Kept)
		}
		if got := slices.Sorted(slices.Values(append(slices.Clone(a.Lanes), b.Lanes...))); !slices.Equal(got, all.Lanes) {
			t.Errorf("%v and %v do not share the lanes out", a.Lanes, b.Lanes)
		}
		third := join(t, c, cfg)
		third.until(t, 2)
		start := time.Now()
		third.close()
		a2 := first.until(t, lanes/2)
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("a member's leaving took %s", took)
		}
		for _, lane := range a2.Kept {
			if !slices.Contains(a.Lanes, lane) {
				t.Errorf("lane %d was kept but not held before: %v", lane, a.Lanes)
			}
		}
		second.close()
		if back := first.until(t, lanes); len(back.Kept) < lanes/2 {
			t.Errorf("left alone it kept only %v", back.Kept)
		}
	})
}

func TestCommitsBelongToAGeneration(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c, ctx := newClient(t, brokers), timeout(t)
		cfg := groupConfig(kafkatest.Name(t), kafkatest.Topic(t, brokers, lanes))
		tp, other := kafka.TopicPartition{Topic: cfg.Topics[0]}, kafka.TopicPartition{Topic: cfg.Topics[0], Partition: 5}
		g, err := c.Join(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		old, err := g.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		commit := func(a kafka.Assignment, offset int64, metadata string) error {
			return c.Commit(ctx, a, map[kafka.TopicPartition]kafka.Committed{tp: {Offset: offset, Metadata: metadata}})
		}
		if err := commit(old.Assignment, 7, "upto=12"); err != nil {
			t.Fatal(err)
		}
		got, err := c.Committed(ctx, cfg.ID, []kafka.TopicPartition{tp, other})
		if err != nil || got[tp] != (kafka.Committed{Offset: 7, Metadata: "upto=12"}) || got[other].Offset != -1 {
			t.Fatal(got, err)
		}
		second := join(t, c, cfg)
		<-old.Done()
		// The group waits for this member, whose generation still counts.
		if err := commit(old.Assignment, 8, ""); err != nil {
			t.Errorf("a commit while the group waits: %v", err)
		}
		old.Release()
		now, err := g.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		second.until(t, lanes/2)
		if err := commit(old.Assignment, 9, ""); !errors.Is(err, kafka.ErrStaleGeneration) || kafka.Retriable(err) {
			t.Errorf("a commit of the generation before gave %v", err)
		}
		stranger := now.Assignment
		stranger.Member = "nobody"
		if err := commit(stranger, 9, ""); !errors.Is(err, kafka.ErrStaleGeneration) {
			t.Errorf("a stranger's commit gave %v", err)
		}
		if err := commit(now.Assignment, 10, "x"); err != nil {
			t.Error(err)
		}
		if got, err := c.Committed(ctx, cfg.ID, []kafka.TopicPartition{tp}); err != nil || got[tp].Offset != 10 {
			t.Error(got, err)
		}
		now.Release()
	})
}

// TestSlowReleaseKeepsMembership holds the lanes for longer than the session
// timeout after the generation ended.
func TestSlowReleaseKeepsMembership(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		t.Parallel()
		c, ctx := newClient(t, brokers), timeout(t)
		cfg := groupConfig(kafkatest.Name(t), kafkatest.Topic(t, brokers, lanes))
		g, err := c.Join(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		old, err := g.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		second := join(t, c, cfg)
		<-old.Done()
		select {
		case gen := <-second.next:
			t.Errorf("the group went on without the member: %v", gen.Lanes)
		case <-time.After(cfg.SessionTimeout + 2*time.Second):
		}
		old.Release()
		gen, err := g.Next(ctx)
		if err != nil || gen.Member != old.Member || len(gen.Kept) != lanes/2 {
			t.Errorf("it came back as %+v, %v", gen, err)
		}
	})
}

func TestCloseWhileTheGroupWaits(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c, ctx := newClient(t, brokers), timeout(t)
		cfg := groupConfig(kafkatest.Name(t), kafkatest.Topic(t, brokers, lanes))
		first, err := c.Join(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		holding, err := first.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.Join(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		<-holding.Done() // second's join now waits for first, which does not let go
		start := time.Now()
		second.Close()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("closing took %s", took)
		}
		if _, err := second.Next(ctx); !errors.Is(err, kafka.ErrClosed) {
			t.Errorf("Next after Close gave %v", err)
		}
	})
}

// TestPausedMemberLosesItsLanes stops a member's process for longer than the
// session timeout and wakes it again.
func TestPausedMemberLosesItsLanes(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		t.Parallel()
		c := newClient(t, brokers)
		cfg := groupConfig(kafkatest.Name(t), kafkatest.Topic(t, brokers, lanes))
		paused := exec.CommandContext(timeout(t), os.Args[0])
		paused.Env = append(os.Environ(), memberVariable+"="+strings.Join([]string{brokers[0], cfg.ID, cfg.Topics[0]}, " "))
		paused.Stderr = os.Stderr
		out, err := paused.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := paused.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = paused.Process.Kill()
			_ = paused.Wait()
		}()
		lines := bufio.NewScanner(out)
		generation := func(want int) (number, kept int) {
			var n int
			for n != want {
				if !lines.Scan() {
					t.Fatalf("the member ended: %v", lines.Err())
				}
				if _, err := fmt.Sscan(lines.Text(), &number, &n, &kept); err != nil {
					t.Fatal(err)
				}
			}
			return number, kept
		}
		generation(lanes)
		other := join(t, c, cfg)
		other.until(t, lanes/2)
		before, _ := generation(lanes / 2)
		if err := paused.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if gen := other.until(t, lanes); len(gen.Kept) != lanes/2 {
			t.Errorf("the one that stayed kept %v of %v", gen.Kept, gen.Lanes)
		}
		if err := paused.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		after, kept := generation(lanes / 2)
		if after <= before+1 || kept != 0 {
			t.Errorf("woken, it came back from generation %d in %d and believes it kept %d lanes", before, after, kept)
		}
	})
}
