package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/sasl"
)

// Config says how to reach the brokers.
type Config struct {
	// Brokers are the addresses (host:port) to learn the cluster from.
	Brokers []string
	// ClientID is what the brokers write in their logs and quotas.
	ClientID string
	// TLS encrypts every connection; nil leaves them plain.
	TLS *tls.Config
	// SASL proves who we are on every connection; see Mechanism.
	SASL sasl.Mechanism
	// DialTimeout bounds one connection's set-up, authentication included
	// (default 5 s).
	DialTimeout time.Duration
	// RequestTimeout bounds one request beyond what it was told to wait
	// (default 10 s).
	RequestTimeout time.Duration
	// RetryFor is how long a call tries again after errors that pass by
	// themselves, such as a leader's move, before it returns one (default 30 s).
	RetryFor time.Duration
	// MetadataTTL is the longest age of what is known of the cluster's layout;
	// it is renewed earlier when a broker says that it changed (default 6 s).
	MetadataTTL time.Duration
	// Compression packs batches of at least CompressFrom bytes (default none,
	// 16 KiB).
	Compression  compress.Compression
	CompressFrom int
	// Logger takes what is worth knowing but not returned as an error.
	Logger *slog.Logger
}

// The codecs a Config can ask for.
const (
	Lz4  = compress.Lz4
	Zstd = compress.Zstd
)

func (c *Config) setDefaults() error {
	if len(c.Brokers) == 0 {
		return errors.New("kafka: no broker address given: name at least one host:port")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return fmt.Errorf("kafka: broker address %q: %w: write it as host:port", b, err)
		}
	}
	setDefault(&c.ClientID, "holdfast")
	setDefault(&c.DialTimeout, 5*time.Second)
	setDefault(&c.RequestTimeout, 10*time.Second)
	setDefault(&c.RetryFor, 30*time.Second)
	setDefault(&c.MetadataTTL, 6*time.Second)
	setDefault(&c.CompressFrom, 16<<10)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Client speaks to one cluster. It is safe for concurrent use; each request in
// flight takes a connection of its own, so a long poll delays nobody else.
type Client struct {
	cfg       Config
	addr      net.Addr
	transport *kafkago.Transport
	api       *kafkago.Client
	turn      atomic.Uint32 // rotates the order of partitions in fetch requests
	stats     counters
	layout    struct {
		sync.Mutex
		renewed time.Time
	}
}

// New prepares a client. It connects only when it is first used.
func New(cfg Config) (*Client, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, addr: kafkago.TCP(cfg.Brokers...)}
	c.transport = &kafkago.Transport{
		Dial:        (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext,
		DialTimeout: cfg.DialTimeout,
		IdleTimeout: time.Minute,
		MetadataTTL: cfg.MetadataTTL,
		ClientID:    cfg.ClientID,
		TLS:         cfg.TLS,
		SASL:        cfg.SASL,
	}
	c.api = &kafkago.Client{Addr: c.addr, Timeout: cfg.RequestTimeout, Transport: c.transport}
	return c, nil
}

// Close gives up the idle connections; those in use end with their requests.
// Groups have a Close of their own.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// String names the cluster in errors and logs.
func (c *Client) String() string { return strings.Join(c.cfg.Brokers, ",") }

// dialer connects a group's member, outside the transport's pool.
func (c *Client) dialer(dial func(ctx context.Context, network, address string) (net.Conn, error)) *kafkago.Dialer {
	return &kafkago.Dialer{
		ClientID: c.cfg.ClientID, Timeout: c.cfg.DialTimeout, TLS: c.cfg.TLS,
		SASLMechanism: c.cfg.SASL, DialFunc: dial,
	}
}
