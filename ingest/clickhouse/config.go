package clickhouse

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Protocol is how the store is spoken to.
type Protocol string

// The protocols.
const (
	HTTP   Protocol = "http"
	Native Protocol = "native"
)

// Compression packs what travels.
type Compression string

// The compressions.
const (
	CompressNone Compression = "none"
	CompressLZ4  Compression = "lz4"
	CompressZSTD Compression = "zstd"
)

// Config says how to reach the audit store.
type Config struct {
	// Addrs are host:port. The first is used; the next ones when it does not
	// answer. Several are replicas of the same tables: two stores that do not
	// replicate would each take the same insert.
	Addrs    []string
	Protocol Protocol // default http
	TLS      *tls.Config
	Database string // default "default"
	User     string // default "default"
	Password string
	// Compression of inserts and answers (default none on loopback, lz4 elsewhere).
	Compression Compression
	DialTimeout time.Duration // default 5 s
	// RequestTimeout bounds one statement or insert (default 5 min). After it, an
	// insert's outcome is unknown.
	RequestTimeout time.Duration
	// Connections bounds how many are open at once (default 16).
	Connections int
	Logger      *slog.Logger
}

func (c *Config) setDefaults() error {
	if len(c.Addrs) == 0 {
		return errors.New("clickhouse: no address given: name at least one host:port")
	}
	for _, a := range c.Addrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("clickhouse: address %q: %w: write it as host:port", a, err)
		}
	}
	setDefault(&c.Protocol, HTTP)
	if c.Protocol != HTTP && c.Protocol != Native {
		return fmt.Errorf("clickhouse: protocol %q is unknown: use http or native", c.Protocol)
	}
	setDefault(&c.Database, "default")
	setDefault(&c.User, "default")
	if c.Compression == "" {
		if c.Compression = CompressLZ4; loopback(c.Addrs) {
			c.Compression = CompressNone
		}
	}
	switch c.Compression {
	case CompressNone, CompressLZ4, CompressZSTD:
	default:
		return fmt.Errorf("clickhouse: compression %q is unknown: use none, lz4 or zstd", c.Compression)
	}
	setDefault(&c.DialTimeout, 5*time.Second)
	setDefault(&c.RequestTimeout, 5*time.Minute)
	setDefault(&c.Connections, 16)
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

// loopback tells whether every address is on this machine.
func loopback(addrs []string) bool {
	for _, a := range addrs {
		host, _, _ := net.SplitHostPort(a)
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}
