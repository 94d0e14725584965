package clickhouse

import (
	"context"
	"fmt"
	"net/http"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Client speaks to one audit store. It is safe for concurrent use; its Conn runs
// queries.
type Client struct {
	driver.Conn
	cfg  Config
	http *http.Client // inserts over HTTP
	next chan int     // which address is used; holds one value
}

// Open prepares a client. It connects only when it is first used.
func Open(cfg Config) (*Client, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	options := &chgo.Options{
		Addr: cfg.Addrs, TLS: cfg.TLS, Auth: chgo.Auth{Database: cfg.Database, Username: cfg.User, Password: cfg.Password},
		DialTimeout: cfg.DialTimeout, ReadTimeout: cfg.RequestTimeout,
		MaxOpenConns: cfg.Connections, MaxIdleConns: cfg.Connections, ConnOpenStrategy: chgo.ConnOpenInOrder,
		FreeBufOnConnRelease: true,
	}
	if cfg.Protocol == HTTP {
		options.Protocol = chgo.HTTP
	}
	switch cfg.Compression {
	case CompressLZ4:
		options.Compression = &chgo.Compression{Method: chgo.CompressionLZ4}
	case CompressZSTD:
		options.Compression = &chgo.Compression{Method: chgo.CompressionZSTD}
	}
	conn, err := chgo.Open(options)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %s: %w", cfg.Addrs[0], err)
	}
	c := &Client{Conn: conn, cfg: cfg, next: make(chan int, 1)}
	c.next <- 0
	if cfg.Protocol == HTTP {
		c.http = newHTTP(cfg)
	}
	return c, nil
}

// Close gives up the connections.
func (c *Client) Close() error {
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
	return c.Conn.Close()
}

// Insert stores a block in a table under a token. Nil: the rows are there, from
// this insert or an earlier one with the same token. A *Refused error: the server
// said no. Any other error: it may have happened, or happen later; send the same
// block under the same token again.
func (c *Client) Insert(ctx context.Context, table, token string, b *Block) error {
	if b.Rows() == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	var err error
	if c.cfg.Protocol == HTTP {
		err = c.insertHTTP(ctx, table, token, b)
	} else {
		err = c.insertBatch(ctx, table, token, b)
	}
	if err != nil {
		return fmt.Errorf("clickhouse: inserting %d rows into %s: %w", b.Rows(), table, err)
	}
	return nil
}

// insertSettings hold for every insert: one block is one insert, acknowledged
// when it is stored. Rows of one key are left to the merges: looking for them at
// an insert costs four times the insert itself, and a recorder sends none.
func insertSettings(token string) map[string]string {
	s := map[string]string{
		"async_insert": "0", "insert_deduplicate": "1", "max_insert_threads": "1", "optimize_on_insert": "0",
		"max_insert_block_size": "1048576", "input_format_parallel_parsing": "0",
	}
	if token != "" {
		s["insert_deduplication_token"] = token
	}
	return s
}
