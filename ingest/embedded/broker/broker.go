// Package broker is a Kafka broker inside this process for one machine: kfake
// with its logs on disk, on a loopback port, spoken to by the same clients that
// speak to Apache Kafka.
//
// What it keeps: topics, records, committed offsets and producer epochs survive a
// restart. SIGKILL costs nothing that was acknowledged: each batch is handed to
// the operating system before its acknowledgement. A power failure or a crash of
// the kernel costs at most what was acknowledged since the last sync of the
// folder, which runs about once a second (Config.SyncEvery) and longer when the
// disk needs longer. Previous tells the two apart, so that the caller can go on
// under a new log id and record a gap where a tail may be lost.
//
// Who may speak to it: clients that log in by SCRAM-SHA-256 as Config.User, over a
// loopback address, since nothing is encrypted. Others get no further than the login;
// what they send, hold and how long they may take is bounded.
//
// What it is not: there is one broker and no replication. All requests pass one goroutine. Opening reads every log
// once. Compaction stops it for about 0.66 s per 100,000 values of 800 bytes, so
// it is meant for up to 100,000 accounts.
//
// What kfake does differently from Apache Kafka, and what is done about it:
//   - Its compaction deletes a log before it writes the new one. Here it runs
//     over hard links of the old files, and Start puts those back when a stop
//     came in between.
//   - A partition whose last record has aged out starts again at offset 0 at the
//     next start. Here such a partition gets a record of kind fence first, which
//     every reader skips.
//   - Retention drops everything up to the last batch that is too old, also in
//     compacted topics: give every topic an explicit retention.ms (-1 where
//     compacted), and keep records with old timestamps out.
//   - Compaction raises the log's start: reading at an offset before it is out of
//     range, and reading goes on at the new start.
//   - Producer sequences are remembered only across a clean stop; a producer's
//     epoch always is.
package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"holdfast/ingest/embedded/folder"
)

// MaxMessageBytes is the largest batch that the broker takes: 2 MiB, as on every
// Holdfast topic.
const MaxMessageBytes = 2 << 20

// Mechanism is how clients log in.
const Mechanism = "SCRAM-SHA-256"

// Config says where the broker keeps its logs and how it looks after them.
type Config struct {
	Dir  string // the data folder; made if missing
	Addr string // host:port on loopback; 127.0.0.1:0 (any free port) if empty

	User     string // who may log in, by SCRAM-SHA-256; "holdfast" if empty
	Password string // "" lets everybody in, which is for tests
	// Peers asks connections of this process's own user and of root, by the kernel's word,
	// for no login: they can read the password anyway.
	Peers bool

	SyncEvery      time.Duration // how often written logs are put on disk; 1 s
	RetentionEvery time.Duration // how often old records are dropped; 5 min
	CompactAt      int64         // bytes of compacted topics at which they are compacted first; 64 MiB

	// MinSessionTimeout is the shortest session timeout that a group may ask for; 1 s.
	MinSessionTimeout time.Duration

	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.User == "" {
		c.User = "holdfast"
	}
	if c.SyncEvery <= 0 {
		c.SyncEvery = time.Second
	}
	if c.RetentionEvery <= 0 {
		c.RetentionEvery = 5 * time.Minute
	}
	if c.CompactAt <= 0 {
		c.CompactAt = 64 << 20
	}
	if c.MinSessionTimeout <= 0 {
		c.MinSessionTimeout = time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Broker is an embedded broker. New makes it, Start opens it, Run keeps it.
type Broker struct {
	cfg  Config
	peer string // the password by which the guard logs peers in

	mu       sync.Mutex
	lock     *folder.Lock
	cluster  *kfake.Cluster
	logger   *clusterLogger
	addr     string
	previous Stop
	syncer   *syncer
}

// New returns a broker that has touched nothing yet.
func New(cfg Config) *Broker {
	return &Broker{cfg: cfg.withDefaults(), peer: rand.Text()}
}

// Addr is the address that clients bootstrap from. It is empty before Start.
func (b *Broker) Addr() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addr
}

// Previous tells how the broker that used this folder before stopped. It is
// meaningful after Start.
func (b *Broker) Previous() Stop {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.previous
}

func (b *Broker) logDir() string { return filepath.Join(b.cfg.Dir, "kafka") }

// Start takes the data folder and opens the broker; after it returns clients can
// connect. Run must follow, or Close.
func (b *Broker) Start() (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cluster != nil {
		return errors.New("broker: started twice")
	}
	if err := checkLoopback(b.cfg.Addr); err != nil {
		return err
	}
	lock, err := folder.Hold(b.cfg.Dir)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	defer func() {
		if err != nil {
			_ = lock.Release()
		}
	}()
	if b.previous, err = previousStop(b.cfg.Dir); err != nil {
		return err
	}
	if err := recoverCompaction(b.cfg.Dir, b.logDir(), b.cfg.Logger); err != nil {
		return err
	}
	if err := markRunning(b.cfg.Dir); err != nil {
		return err
	}
	// What kfake wrote down of users overrides what it is told, and a folder that was
	// never asked for passwords says that there are none.
	if err := os.Remove(filepath.Join(b.logDir(), "sasl.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("broker: forget the users of before: %w", err)
	}
	logger := &clusterLogger{to: b.cfg.Logger}
	cluster, err := kfake.NewCluster(b.options(logger)...)
	if err != nil {
		return fmt.Errorf("broker: open %s on %s: %w", b.logDir(), b.cfg.Addr, err)
	}
	b.guardRoom(cluster)
	// These hold at a clean stop only; after a kill they would be stale.
	_ = os.Remove(filepath.Join(b.logDir(), "seq_windows.json"))
	b.lock, b.cluster, b.logger = lock, cluster, logger
	b.addr = cluster.ListenAddrs()[0]
	b.syncer = newSyncer(b.logDir())
	return nil
}

func (b *Broker) options(logger kfake.Logger) []kfake.Opt {
	listen := func(network, _ string) (net.Listener, error) {
		ln, err := new(net.ListenConfig).Listen(context.Background(), network, b.cfg.Addr)
		if err != nil {
			return nil, err
		}
		return b.guard(ln), nil
	}
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ListenFn(listen),
		kfake.ClusterID("holdfast-embedded"),
		kfake.DataDir(b.logDir()),
		kfake.WithLogger(logger),
		kfake.GroupMinSessionTimeout(b.cfg.MinSessionTimeout),
		kfake.BrokerConfigs(map[string]string{
			"message.max.bytes": fmt.Sprint(MaxMessageBytes),
			"log.segment.bytes": fmt.Sprint(64 << 20),
			// kfake's own cleaning never runs: it is called from here, where
			// a stop in the midst of it does no harm.
			"log.cleaner.backoff.ms": fmt.Sprint((20 * 365 * 24 * time.Hour).Milliseconds()),
		}),
	}
	if b.cfg.Password != "" {
		options = append(options, kfake.EnableSASL(), kfake.Superuser(Mechanism, b.cfg.User, b.cfg.Password))
		if b.cfg.Peers {
			options = append(options, kfake.Superuser("PLAIN", peerUser, b.peer))
		}
	}
	return options
}

// Run looks after the logs until ctx ends and then closes the broker cleanly. It
// starts the broker if Start has not been called.
func (b *Broker) Run(ctx context.Context) error {
	b.mu.Lock()
	started := b.cluster != nil
	b.mu.Unlock()
	if !started {
		if err := b.Start(); err != nil {
			return err
		}
	}
	var work sync.WaitGroup
	work.Go(func() { b.keepSynced(ctx) })
	work.Go(func() { b.keepClean(ctx) })
	<-ctx.Done()
	work.Wait()
	return b.Close()
}

// Close stops a broker that Run does not keep (Run closes its own), cleanly, and
// lets go of the folder. It does nothing on a broker that is not started.
func (b *Broker) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cluster == nil {
		return nil
	}
	b.cluster.Close()
	b.cluster = nil
	err := b.logger.failed()
	if err == nil {
		err = b.syncer.sync()
	}
	if err == nil {
		err = markStopped(b.cfg.Dir)
	}
	if err = errors.Join(err, b.lock.Release()); err != nil {
		return fmt.Errorf("broker: close %s: %w", b.cfg.Dir, err)
	}
	return nil
}

// checkLoopback refuses an address that other machines could reach: nothing that
// passes is encrypted.
func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("broker: address %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("broker: address %q is not a loopback address; the embedded broker encrypts nothing, so give 127.0.0.1:PORT or use a Kafka cluster of your own", addr)
	}
	return nil
}
