package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"holdfast/cmd/internal/config"
	"holdfast/cmd/internal/traffic"
	"holdfast/ingest/embedded/folder"
	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Player plays made-up traffic into a running instance, through intake's door.
type Player struct {
	cfg      *config.Config
	client   *kafka.Client
	producer *intake.Producer
	networks intake.Networks
	stop     context.CancelFunc
	running  errgroup.Group
}

// NewPlayer connects to the instance that cfg names.
func NewPlayer(cfg *config.Config) (*Player, error) {
	log := slog.New(slog.DiscardHandler)
	networks, err := OpenEnrichment(cfg, log, nil)
	if err != nil {
		return nil, err
	}
	client, err := Connect(cfg, log)
	if err != nil {
		return nil, err
	}
	writer, err := ConnectIntake(cfg, log)
	if err != nil {
		return nil, err
	}
	p := &Player{cfg: cfg, client: client, networks: networks, producer: intake.NewProducer(intake.Config{Prefix: cfg.Kafka.Prefix}, intake.Deps{Broker: writer, Logger: log})}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.running.Go(func() error {
		defer writer.Close()
		return p.producer.Run(ctx)
	})
	return p, nil
}

// Close writes what is left and disconnects.
func (p *Player) Close() {
	p.stop()
	_ = p.running.Wait()
	p.client.Close()
}

// DataDir is the instance's data folder.
func (p *Player) DataDir() string { return p.cfg.DataDir }

// Pace returns a wait that plays times from begin on so many times faster than life.
func Pace(begin time.Time, speed float64) func(context.Context, time.Time) error {
	start := time.Now()
	return func(ctx context.Context, at time.Time) error {
		due := start.Add(time.Duration(float64(at.Sub(begin)) / speed))
		if d := time.Until(due); d > 0 {
			return pause(ctx, d)
		}
		return ctx.Err()
	}
}

// Play sends the events and returns how many were acknowledged. wait, where given,
// is called before each.
func (p *Player) Play(ctx context.Context, events iter.Seq[traffic.Event], origin schemas.Origin, wait func(context.Context, time.Time) error) (int, error) {
	var waited error
	n, err := p.PlayJSON(ctx, func(yield func([]byte) bool) {
		for e := range events {
			if wait != nil {
				if waited = wait(ctx, e.Time); waited != nil {
					return
				}
			}
			if !yield(e.JSON) {
				return
			}
		}
	}, origin)
	return n, errors.Join(waited, err)
}

// PlayJSON is Play for events that are JSON already.
func (p *Player) PlayJSON(ctx context.Context, events iter.Seq[[]byte], origin schemas.Origin) (int, error) {
	src := &intake.Source{Name: "demo", Origin: origin}
	check := intake.Checker{Networks: p.networks}
	var receipt intake.Receipt
	n := 0
	for data := range events {
		r, refused := check.Check(data, src, time.Now())
		if refused != nil {
			return n, fmt.Errorf("made-up event: %w", refused)
		}
		if err := p.producer.Send(ctx, &receipt, schemas.TopicEvents, r.Record); err != nil {
			return n, err
		}
		n++
	}
	return n, receipt.Wait(ctx)
}

// Settled waits until the detect and respond lanes have read everything that is in
// their logs.
func (p *Player) Settled(ctx context.Context) error {
	for quiet := 0; quiet < 3; {
		behind, err := p.Behind(ctx)
		if err != nil && !kafka.Retriable(err) {
			return err
		}
		if quiet++; behind > 0 || err != nil {
			quiet = 0
		}
		if err := pause(ctx, 400*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// Behind is how many records the lanes' groups have not committed yet.
func (p *Player) Behind(ctx context.Context) (int64, error) {
	var lag int64
	for group, topic := range map[string]schemas.Topic{"detect": schemas.TopicEvents, "respond": schemas.TopicInbox} {
		var tps []kafka.TopicPartition
		for i := range int32(p.cfg.Kafka.Lanes) {
			tps = append(tps, kafka.TopicPartition{Topic: p.cfg.Kafka.Prefix + string(topic), Partition: i})
		}
		ends, err := p.client.Offsets(ctx, tps)
		if err != nil {
			return 0, err
		}
		done, err := p.client.Committed(ctx, p.cfg.Kafka.Prefix+group, tps)
		if err != nil {
			return 0, err
		}
		for _, tp := range tps {
			lag += max(0, ends[tp].End-max(0, done[tp].Offset))
		}
	}
	return lag, nil
}

// Watch calls see for every decision that is made from now on, until ctx ends.
func (p *Player) Watch(ctx context.Context, see func(schemas.Decision)) error {
	var tps []kafka.TopicPartition
	for i := range int32(p.cfg.Kafka.Lanes) {
		tps = append(tps, kafka.TopicPartition{Topic: p.cfg.Kafka.Prefix + string(schemas.TopicDecisions), Partition: i})
	}
	ranges, err := p.client.Offsets(ctx, tps)
	if err != nil {
		return err
	}
	var at []kafka.Position
	for _, tp := range tps {
		at = append(at, kafka.Position{TopicPartition: tp, Offset: ranges[tp].End})
	}
	for ctx.Err() == nil {
		got, err := p.client.Fetch(ctx, at, kafka.FetchOptions{MaxWait: 500 * time.Millisecond})
		if err != nil && !kafka.Retriable(err) && ctx.Err() == nil {
			return err
		}
		for i, f := range got {
			for _, r := range f.Records {
				var d schemas.Decision
				if header(r, schemas.HeaderKind) == string(schemas.KindDecision) && json.Unmarshal(r.Value, &d) == nil {
					see(d)
				}
			}
			if f.Err == nil {
				at[i].Offset = f.Next
			}
		}
	}
	return ctx.Err()
}

// Alive reports whether a process holds the broker's folder in the data folder.
func Alive(dir string) bool {
	h, err := folder.Hold(filepath.Join(dir, "kafka"))
	if err != nil {
		return errors.Is(err, folder.ErrInUse)
	}
	_ = h.Release()
	return false
}

// Read calls see for every record that stands on a topic now, fences left out.
func (p *Player) Read(ctx context.Context, t schemas.Topic, see func(value []byte)) error {
	name := p.cfg.Kafka.Prefix + string(t)
	for i := range int32(p.cfg.Kafka.Lanes) {
		err := readToEnd(ctx, p.client, kafka.TopicPartition{Topic: name, Partition: i}, 0, func(r kafka.Record) error {
			if header(r, schemas.HeaderKind) != string(schemas.KindFence) {
				see(r.Value)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
