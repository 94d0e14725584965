package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/compress"
)

func newHTTP(cfg Config) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:     (&net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig: cfg.TLS, TLSHandshakeTimeout: cfg.DialTimeout,
		MaxIdleConnsPerHost: cfg.Connections, MaxConnsPerHost: cfg.Connections, IdleConnTimeout: 30 * time.Second,
		DisableCompression: true, WriteBufferSize: 64 << 10,
	}}
}

// insertHTTP sends a block as the body of an INSERT … FORMAT Native.
func (c *Client) insertHTTP(ctx context.Context, table, token string, b *Block) error {
	at := <-c.next
	c.next <- at
	body := c.body(b)
	// The transport may still read when it has returned; the block is then reused.
	defer func() { _ = body.Close() }()
	req, err := c.insertRequest(ctx, c.cfg.Addrs[at], table, token, b, body)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.turn(at)
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return refusal(res, text)
}

// turn goes on to the next address unless somebody else has done so.
func (c *Client) turn(from int) {
	at := <-c.next
	if at == from {
		at = (at + 1) % len(c.cfg.Addrs)
	}
	c.next <- at
}

func (c *Client) insertRequest(ctx context.Context, addr, table, token string, b *Block, body io.Reader) (*http.Request, error) {
	q := url.Values{"query": {insertStatement(table, b) + " FORMAT Native"}, "database": {c.cfg.Database}}
	for name, value := range insertSettings(token) {
		q.Set(name, value)
	}
	if c.cfg.Compression != CompressNone {
		q.Set("decompress", "1")
	}
	scheme := "http"
	if c.cfg.TLS != nil {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+addr+"/?"+q.Encode(), body)
	if err != nil {
		return nil, err
	}
	if req.ContentLength = -1; c.cfg.Compression == CompressNone {
		req.ContentLength = b.Size()
	}
	req.Header.Set("X-ClickHouse-User", c.cfg.User)
	if c.cfg.Password != "" {
		req.Header.Set("X-ClickHouse-Key", c.cfg.Password)
	}
	return req, nil
}

func insertStatement(table string, b *Block) string {
	names := make([]string, len(b.Columns))
	for i := range b.Columns {
		names[i] = "`" + b.Columns[i].name + "`"
	}
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ")"
}

// body reads a block's bytes, packed as the configuration says.
func (c *Client) body(b *Block) io.ReadCloser {
	switch c.cfg.Compression {
	case CompressLZ4:
		return &guarded{r: &packer{from: b.Reader(), pack: compress.NewWriter(compress.LevelZero, compress.LZ4)}}
	case CompressZSTD:
		return &guarded{r: &packer{from: b.Reader(), pack: compress.NewWriter(compress.LevelZero, compress.ZSTD)}}
	}
	return &guarded{r: b.Reader()}
}

// packer reads in ClickHouse's own compressed frames of frameSize bytes.
type packer struct {
	from io.Reader
	pack *compress.Writer
	raw  []byte
	left []byte
}

const frameSize = 1 << 20

func (p *packer) Read(to []byte) (int, error) {
	for len(p.left) == 0 {
		if p.raw == nil {
			p.raw = make([]byte, frameSize)
		}
		n, err := io.ReadFull(p.from, p.raw)
		if n == 0 {
			return 0, err
		}
		if err := p.pack.Compress(p.raw[:n]); err != nil {
			return 0, err
		}
		p.left = p.pack.Data
	}
	n := copy(to, p.left)
	p.left = p.left[n:]
	return n, nil
}

// guarded is a body that nobody reads any more once Close has returned.
type guarded struct {
	mu     sync.Mutex
	r      io.Reader
	closed bool
}

func (g *guarded) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return g.r.Read(p)
}

func (g *guarded) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return nil
}

// Refused is the server's own no.
type Refused struct {
	Code int // ClickHouse's error code; 0 where the answer named none
	Text string
}

func (r *Refused) Error() string { return r.Text }

func refusal(res *http.Response, text []byte) error {
	code, _ := strconv.Atoi(res.Header.Get("X-ClickHouse-Exception-Code"))
	if res.StatusCode == http.StatusOK && code == 0 {
		return nil
	}
	words := strings.TrimSpace(string(text))
	if code == 0 && !strings.HasPrefix(words, "Code:") {
		// Not ClickHouse's words: something between us and it answered.
		return errors.New("the answer is " + res.Status + ": " + clip(words))
	}
	return &Refused{Code: code, Text: clip(words)}
}

func clip(s string) string {
	if len(s) > 2000 {
		return s[:2000] + "…"
	}
	return s
}
