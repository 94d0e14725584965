package lane_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/ingest/lane"
	"holdfast/schemas"
)

func TestRestartGoesOn(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		i := install(t, brokers, 4, nil)
		for range 3 {
			_, stop := i.begin()
			i.write(500)
			i.settle()
			i.write(200) // some of it is folded, some is not
			stop()
		}
		_, stop := i.begin()
		i.settle()
		stop()
		i.check()
	})
}

// TestTwoShareAndMove runs two runners, of which the second comes and goes while
// events flow.
func TestTwoShareAndMove(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		i := install(t, brokers, 4, nil)
		first, _ := i.begin()
		i.until("the first has all lanes", func() bool { i.write(10); return first.Working() == 4 })
		for range 2 {
			second, stop := i.begin()
			i.until("they share the lanes", func() bool { i.write(10); return first.Working() == 2 && second.Working() == 2 })
			i.write(300)
			stop()
			i.until("the first has all lanes again", func() bool { i.write(10); return first.Working() == 4 })
		}
		i.settle()
		i.check()
	})
}

// zombieVariable makes a copy of this test's binary a process of its own that runs
// lanes and can be paused.
const zombieVariable = "HOLDFAST_TEST_LANES"

func TestMain(m *testing.M) {
	if spec := os.Getenv(zombieVariable); spec != "" {
		runApart(strings.Fields(spec))
		return
	}
	// The tests in bubbles show that a runner leaves no goroutine behind.
	os.Exit(m.Run())
}

// runApart runs lanes that save nothing by themselves, and tells how many work.
func runApart(spec []string) {
	client, err := kafka.New(kafka.Config{Brokers: spec[:1]})
	must(err)
	lanes, err := strconv.Atoi(spec[2])
	must(err)
	cfg := laneConfig(spec[1], lanes)
	cfg.SaveAfter, cfg.SaveLimit = time.Hour, 2*time.Hour
	r, err := lane.New(cfg, lane.Deps{Broker: lane.OnKafka(client), NewFold: func(int32) lane.Fold { return newCountFold() }})
	must(err)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		// A line on the standard input stops it in good order, so that it saves.
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		stop()
	}()
	go func() {
		for last := -1; ; time.Sleep(10 * time.Millisecond) {
			if n := r.Working(); n != last {
				fmt.Println(n)
				last = n
			}
		}
	}()
	must(r.Run(ctx))
}

// TestZombieDamagesNothing stops a process that has unsaved state for longer than the
// session timeout, while another one takes its lanes over and works on. Woken, it
// finds its own unsaved state and outputs, and must not write them.
func TestZombieDamagesNothing(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		i := install(t, brokers, 4, nil)
		zombie := exec.CommandContext(within(t), os.Args[0])
		zombie.Env = append(os.Environ(), zombieVariable+"="+strings.Join([]string{brokers[0], i.prefix, strconv.Itoa(i.lanes)}, " "))
		zombie.Stderr = os.Stderr
		in, err := zombie.StdinPipe()
		must(err)
		out, err := zombie.StdoutPipe()
		must(err)
		must(zombie.Start())
		defer func() {
			_ = zombie.Process.Kill()
			_ = zombie.Wait()
		}()
		lines := bufio.NewScanner(out)
		working := func(n int) {
			t.Helper()
			for lines.Scan() {
				if lines.Text() == strconv.Itoa(n) {
					return
				}
			}
			t.Fatal("the other process ended")
		}
		working(i.lanes)
		i.write(2000)
		i.until("it has begun to fold", func() bool { return i.signals() > 100 })
		must(zombie.Process.Signal(syscall.SIGSTOP))
		r, stop := i.begin()
		i.until("its lanes have moved", func() bool { return r.Working() == i.lanes })
		i.write(500)
		i.settle()
		must(zombie.Process.Signal(syscall.SIGCONT))
		i.write(500)
		working(i.lanes / 2) // it has come back as a member like any other
		i.signalled()
		stop()
		_, err = in.Write([]byte("\n"))
		must(err)
		must(zombie.Wait())
		_, stop = i.begin()
		i.settle()
		stop()
		i.check()
	})
}

// signals counts the signals written so far.
func (i *installation) signals() (n int64) {
	var tps []kafka.TopicPartition
	for p := range i.lanes {
		tps = append(tps, i.at(schemas.TopicInbox, p))
	}
	ends, err := i.client.Offsets(within(i.t), tps)
	must(err)
	for _, r := range ends {
		n += r.End
	}
	return n
}

// signalled waits until each event has given its signal.
func (i *installation) signalled() {
	i.t.Helper()
	want := 0
	for _, n := range i.counts {
		want += int(n)
	}
	i.until("every event has given its signal", func() bool {
		got := map[string]bool{}
		for p := range i.lanes {
			for _, r := range i.read(i.at(schemas.TopicInbox, p)) {
				if kindOf(&r) == schemas.KindSignal {
					got[header(&r, schemas.HeaderID)] = true
				}
			}
		}
		return len(got) >= want
	})
}

// TestCompactedState restores lanes from a state topic that the broker compacts.
func TestCompactedState(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		i := install(t, brokers, 2, map[string]string{"segment.ms": "1500", "min.cleanable.dirty.ratio": "0.001", "segment.bytes": "1048576"})
		_, stop := i.begin()
		compacted := func() bool {
			ends, err := i.client.Offsets(within(t), []kafka.TopicPartition{i.at(schemas.TopicStateDetect, 0)})
			must(err)
			span := ends[i.at(schemas.TopicStateDetect, 0)]
			return int64(len(i.read(i.at(schemas.TopicStateDetect, 0)))) < span.End-span.Start
		}
		begun := time.Now()
		i.until("the broker has compacted the state", func() bool {
			i.write(50)
			i.settle()
			// The embedded broker compacts at its own pace: what it keeps must restore too.
			return compacted() || strings.HasSuffix(t.Name(), "embedded") && time.Since(begun) > 5*time.Second
		})
		stop()
		i.write(100)
		_, stop = i.begin()
		i.settle()
		stop()
		i.check()
	})
}
