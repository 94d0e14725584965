package app

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"holdfast/alerting/edge"
	"holdfast/alerting/edge/kumomta"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Edge is one process that answers mail servers from a copy of the status topic. It needs
// nothing of Holdfast to run but, once, the topic.
type Edge struct {
	cfg   config.Config
	log   *slog.Logger
	ready chan struct{}
	at    EdgeAddresses
}

// EdgeAddresses are where an Edge listens.
type EdgeAddresses struct {
	HTTP    string
	Postfix []string
	Line    []string
}

// NewEdge returns an edge that has touched nothing yet. The error names every mistake of
// the configuration's part edge.
func NewEdge(cfg config.Config, log *slog.Logger) (*Edge, error) {
	x := &Edge{cfg: cfg, log: log, ready: make(chan struct{})}
	c, err := edgeConfig(&cfg)
	if err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if k := kumoConfig(&cfg); k.URL != "" {
		if err := k.Validate(); err != nil {
			return nil, fmt.Errorf("edge.kumomta: %w", err)
		}
	} else if cfg.Edge.HTTP.Listen == "" && len(cfg.Edge.Postfix.Listen) == 0 && len(cfg.Edge.Line.Listen) == 0 {
		return nil, errors.New("edge: nothing listens: set edge.http.listen, edge.postfix.listen, edge.line.listen or edge.kumomta.url")
	}
	return x, nil
}

// Ready is closed when every listener is open.
func (x *Edge) Ready() <-chan struct{} { return x.ready }

// Addresses tell where it listens, after Ready.
func (x *Edge) Addresses() EdgeAddresses { return x.at }

// Run answers until ctx ends.
func (x *Edge) Run(ctx context.Context) error {
	c, err := edgeConfig(&x.cfg)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.File), 0o700); err != nil {
		return fmt.Errorf("folder of the edge's copy: %w", err)
	}
	reg := newRegistry()
	metrics := edge.NewMetrics(reg)
	feed := &statusFeed{cfg: x.cfg, log: x.log}
	defer feed.close()
	e, err := edge.New(c, edge.Deps{Feed: feed, Logger: x.log, Metrics: metrics})
	if err != nil {
		return err
	}
	defer e.Close()
	metrics.Watch(reg, e)
	g, ctx := errgroup.WithContext(ctx)
	if err := x.listen(ctx, g, e, promhttp.HandlerFor(reg, promhttp.HandlerOpts{}), c.MaxConns); err != nil {
		g.Go(func() error { return err })
		return g.Wait()
	}
	g.Go(func() error { return e.Run(ctx) })
	if k := kumoConfig(&x.cfg); k.URL != "" {
		r, err := kumomta.New(k, kumomta.Deps{Wanted: e, Logger: x.log, Metrics: kumomta.NewMetrics(reg)})
		if err != nil {
			g.Go(func() error { return fmt.Errorf("edge.kumomta: %w", err) })
			return g.Wait()
		}
		g.Go(func() error { return r.Run(ctx) })
	}
	x.log.Info("the edge answers", "http", x.at.HTTP, "postfix", x.at.Postfix, "line", x.at.Line, "copy", c.File)
	close(x.ready)
	return g.Wait()
}

func (x *Edge) listen(ctx context.Context, g *errgroup.Group, e *edge.Edge, metrics http.Handler, conns int) error {
	h := x.cfg.Edge.HTTP
	if h.Listen != "" {
		l, err := listenOn(ctx, h.Listen)
		if err != nil {
			return fmt.Errorf("edge.http.listen: %w", err)
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", metrics)
		mux.Handle("/", e.Handler())
		x.at.HTTP = l.Addr().String()
		serveEdgeHTTP(ctx, g, netutil.LimitListener(l, conns), mux, h.CertFile, h.KeyFile)
	}
	for _, part := range []struct {
		key    string
		listen []string
		serve  func(context.Context, net.Listener) error
		at     *[]string
	}{
		{"edge.postfix.listen", x.cfg.Edge.Postfix.Listen, e.ServePostfix, &x.at.Postfix},
		{"edge.line.listen", x.cfg.Edge.Line.Listen, e.ServeLine, &x.at.Line},
	} {
		for _, addr := range part.listen {
			l, err := listenOn(ctx, addr)
			if err != nil {
				return fmt.Errorf("%s: %w", part.key, err)
			}
			*part.at = append(*part.at, l.Addr().String())
			g.Go(func() error { return part.serve(ctx, l) })
		}
	}
	return nil
}

// serveEdgeHTTP is not listen: streams of changes have no end, and a lookup has no time.
func serveEdgeHTTP(ctx context.Context, g *errgroup.Group, l net.Listener, h http.Handler, cert, key string) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	g.Go(func() error {
		<-ctx.Done()
		return endServer(ctx, s, 2*time.Second)
	})
	g.Go(func() error {
		var err error
		if cert != "" {
			err = s.ServeTLS(l, cert, key)
		} else {
			err = s.Serve(l)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	})
}

// listenOn listens on host:port, or on unix:PATH, a socket that its owner and group may use.
func listenOn(ctx context.Context, addr string) (net.Listener, error) {
	path, unix := strings.CutPrefix(addr, "unix:")
	if !unix {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	}
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
		// A process that was killed left it. Who still listens there is not disturbed.
		if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "unix", path); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("%s is in use by another process", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o660) // #nosec G302 -- a socket for its group
}

func kumoConfig(cfg *config.Config) kumomta.Config {
	k := cfg.Edge.KumoMTA
	return kumomta.Config{URL: k.URL, Prefix: k.Prefix, Duration: k.Duration, Timeout: k.Timeout}
}

// edgeConfig reads what the configuration's part edge names.
func edgeConfig(cfg *config.Config) (edge.Config, error) {
	in, c := &cfg.Edge, edge.Default()
	c.File, c.StaleAfter = in.File, in.StaleAfter
	if c.File == "" {
		c.File = filepath.Join(cfg.DataDir, "edge.db")
	}
	var errs []error
	nat64, err := schemas.ParseNAT64(cfg.Enrichment.NAT64Prefixes)
	if c.NAT64 = nat64; err != nil {
		errs = append(errs, fmt.Errorf("enrichment.nat64_prefixes: %w", err))
	}
	for _, file := range in.HTTP.TokenFiles {
		token, err := config.Secret("", file)
		if err != nil {
			errs = append(errs, fmt.Errorf("edge.http.token_files: %w", err))
		}
		c.Tokens = append(c.Tokens, []byte(token))
	}
	if len(in.HTTP.TokenFiles) == 0 && in.HTTP.Listen != "" && !onLoopback(in.HTTP.Listen) {
		errs = append(errs, fmt.Errorf("edge.http.listen: %s can be reached from elsewhere, and nobody is asked for a token: set edge.http.token_files, or listen on 127.0.0.1", in.HTTP.Listen))
	}
	p := &c.Postfix
	p.Suspended, p.Revoked, p.Blocked = in.Postfix.Suspended, in.Postfix.Revoked, in.Postfix.Blocked
	p.Throttled, p.Unknown = in.Postfix.Throttled, in.Postfix.Unknown
	p.Address, p.Credential, p.Rate, p.StaleLimit = in.Postfix.Address, in.Postfix.Credential, in.Postfix.Rate, in.Postfix.StaleLimit
	if len(in.Postfix.Accounts) > 0 {
		p.Accounts = nil
	}
	for i, a := range in.Postfix.Accounts {
		at := edge.Attribute{Name: a.Attribute, Take: a.Take}
		if at.Take == "" {
			at.Take = "whole"
		}
		if a.MapFile != "" {
			var err error
			if at.Map, err = readMap(a.MapFile, "value,account"); err != nil {
				errs = append(errs, fmt.Errorf("edge.postfix.accounts[%d].map_file: %w", i, err))
			}
		}
		p.Accounts = append(p.Accounts, at)
	}
	return c, errors.Join(errs...)
}

func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if strings.HasPrefix(addr, "unix:") {
		return true
	}
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// readMap reads lines of two values, which shape names.
func readMap(path, shape string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord, r.Comment = 2, '#'
	out := map[string]string{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w: write lines of %s", path, err, shape)
		}
		out[row[0]] = row[1]
	}
}

// statusFeed reads the status topic of the brokers that are configured, or of the instance
// that runs on the data folder, wherever it listens by now.
type statusFeed struct {
	cfg config.Config
	log *slog.Logger

	client *kafka.Client
	logID  string
	pos    []kafka.Position
	ends   []int64
}

func (f *statusFeed) close() {
	if f.client != nil {
		f.client.Close()
		f.client = nil
	}
}

// Open connects anew.
func (f *statusFeed) Open(ctx context.Context, at map[int32]int64, logID string) (again bool, err error) {
	f.close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cfg := f.cfg
	if err := FindBroker(&cfg); err != nil {
		return false, err
	}
	if f.client, err = Connect(&cfg, f.log); err != nil {
		return false, err
	}
	in, err := ReadInstallation(ctx, f.client, &cfg)
	if err != nil {
		return false, err
	}
	topic := cfg.Kafka.Prefix + string(schemas.TopicStatus)
	n, err := f.client.Partitions(ctx, topic)
	if err != nil {
		return false, err
	}
	f.logID, f.pos, f.ends = in.LogID, nil, make([]int64, n)
	again = logID != in.LogID
	var tps []kafka.TopicPartition
	for p := range int32(n) {
		tps = append(tps, kafka.TopicPartition{Topic: topic, Partition: p})
	}
	ranges, err := f.client.Offsets(ctx, tps)
	if err != nil {
		return false, err
	}
	for i, tp := range tps {
		from := ranges[tp].Start
		if !again {
			from = max(from, at[tp.Partition])
		}
		if from > ranges[tp].End { // the log was made anew under the same id, or lost its tail
			again, from = true, ranges[tp].Start
		}
		f.pos, f.ends[i] = append(f.pos, kafka.Position{TopicPartition: tp, Offset: from}), ranges[tp].End
	}
	if again {
		for i := range f.pos {
			f.pos[i].Offset = ranges[f.pos[i].TopicPartition].Start
		}
	}
	return again, nil
}

// Next reads on.
func (f *statusFeed) Next(ctx context.Context) (edge.Batch, error) {
	got, err := f.client.Fetch(ctx, f.pos, kafka.FetchOptions{MaxWait: time.Second, MaxBytes: 4 << 20})
	if err != nil {
		return edge.Batch{}, err
	}
	b := edge.Batch{AtEnd: true, Installation: f.logID, Next: map[int32]int64{}}
	for i, p := range got {
		if p.Err != nil {
			return edge.Batch{}, p.Err // Open looks where the log begins now
		}
		for _, r := range p.Records {
			if c, ok := f.change(r); ok {
				b.Changes = append(b.Changes, c)
			}
		}
		if p.Next != f.pos[i].Offset {
			f.pos[i].Offset = p.Next
			b.Next[p.Partition] = p.Next
		}
		f.ends[i] = max(f.ends[i], p.HighWatermark)
		b.AtEnd = b.AtEnd && f.pos[i].Offset >= f.ends[i]
	}
	return b, nil
}

// change reads one record. What cannot be read leaves the entity as it was: the last known
// good status stays.
func (f *statusFeed) change(r kafka.Record) (edge.Change, bool) {
	if header(r, schemas.HeaderKind) == string(schemas.KindFence) {
		return edge.Change{}, false
	}
	c := edge.Change{Key: string(r.Key)}
	if r.Value == nil {
		return c, true
	}
	c.Status = new(schemas.Status)
	if err := json.Unmarshal(r.Value, c.Status); err != nil || c.Status.Entity.Key() != c.Key || !slices.Contains(knownStatuses, c.Status.Status) {
		f.log.Error("a status cannot be read: the one before it stays in force", "key", c.Key, "offset", r.Offset, "error", err)
		return c, false
	}
	return c, true
}

// knownStatuses are the words of a status that an edge acts on.
var knownStatuses = []string{"active", "review", "throttled", "revoked", "suspended", "blocked"}
