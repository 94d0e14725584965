package clickhouse

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"holdfast/ingest/embedded/setup"
)

// Config says what the Supervisor runs and where.
type Config struct {
	Dir  string // the data folder; made if missing
	Addr string // host:port on loopback; 127.0.0.1:0 (any free port) if empty
	Lib  string // libchdb.so; found by package setup if empty
	Access

	MaxRequest int64 // bytes of one request; 512 MiB
	MaxMemory  int64 // bytes that the engine may use; half of the machine's
	Readers    int   // queries of the full user that run at once; 4
	Writers    int   // other statements that run at once; 2
	Dashboards int   // queries of the read-only user that run at once; 2

	// Command starts the child; this binary with ChildCommand if empty. Env is
	// added to the child's environment.
	Command []string
	Env     []string

	// OnRestart is called each time a child that had died is started again.
	OnRestart func()

	Logger *slog.Logger
}

// Supervisor keeps the child process running. New makes it, Start takes the port,
// Run starts the child and starts it again whenever it ends.
type Supervisor struct {
	cfg      Config
	listener *net.TCPListener
	socket   *os.File
	restarts atomic.Uint64
	pid      atomic.Int64
	ready    chan struct{} // closed when a child has answered for the first time
}

// New returns a supervisor that has touched nothing yet.
func New(cfg Config) *Supervisor {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	cfg.Access = cfg.Access.withDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.OnRestart == nil {
		cfg.OnRestart = func() {}
	}
	return &Supervisor{cfg: cfg, ready: make(chan struct{})}
}

// Start finds the library and takes the port. After it returns, Addr is known and
// clients may connect; they are answered once Run has brought the child up.
func (s *Supervisor) Start() error {
	if s.listener != nil {
		return errors.New("clickhouse: started twice")
	}
	if err := checkLoopback(s.cfg.Addr); err != nil {
		return err
	}
	var err error
	if s.cfg.Lib == "" {
		if s.cfg.Lib, err = setup.Find(); err != nil {
			return err
		}
	}
	if len(s.cfg.Command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("clickhouse: find this program's file: %w", err)
		}
		s.cfg.Command = []string{self, ChildCommand}
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("clickhouse: listen: %w", err)
	}
	s.listener = ln.(*net.TCPListener)
	if s.socket, err = s.listener.File(); err != nil {
		return errors.Join(fmt.Errorf("clickhouse: the socket for the child: %w", err), ln.Close())
	}
	return nil
}

// Addr is the address that clients connect to; it stays the same across restarts.
func (s *Supervisor) Addr() string { return s.listener.Addr().String() }

// DSN is the address as clickhouse-go reads it.
func (s *Supervisor) DSN() string {
	u := url.URL{Scheme: "http", Host: s.Addr(), Path: "/default", User: url.User(s.cfg.User)}
	if s.cfg.Password != "" {
		u.User = url.UserPassword(s.cfg.User, s.cfg.Password)
	}
	return u.String()
}

// Restarts counts how often the child was started again.
func (s *Supervisor) Restarts() uint64 { return s.restarts.Load() }

// PID is the running child's process id, 0 between two.
func (s *Supervisor) PID() int { return int(s.pid.Load()) }

// WaitReady waits until the child has answered for the first time.
func (s *Supervisor) WaitReady(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("clickhouse: the engine is not up yet: %w", context.Cause(ctx))
	}
}

// Bounds of the wait between two starts of a child.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
	steady     = 30 * time.Second // a child that lived as long starts the waits anew
)

// Run keeps a child running until ctx ends, and then ends it. It returns an error
// when the first child refuses to serve at all, as it does when another process
// holds the data folder.
func (s *Supervisor) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Start(); err != nil {
			return err
		}
	}
	defer func() { _, _ = s.socket.Close(), s.listener.Close() }()
	wait := minBackoff
	for {
		started := time.Now()
		err := s.runChild(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var exit *exec.ExitError
		if !s.isReady() && errors.As(err, &exit) && exit.ExitCode() == exitRefused {
			return err
		}
		if time.Since(started) > steady {
			wait = minBackoff
		}
		s.cfg.Logger.Error("clickhouse: the engine's process ended; it is started again", "error", err, "wait", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, maxBackoff)
		s.restarts.Add(1)
		s.cfg.OnRestart()
	}
}

func (s *Supervisor) isReady() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// runChild runs one child to its end. When ctx ends it closes the child's
// standard input, which tells it to end, and kills it if it does not.
func (s *Supervisor) runChild(ctx context.Context) error {
	config, err := json.Marshal(ServeConfig{ // #nosec G117 -- to our own child, over a pipe
		Dir: s.cfg.Dir, Lib: s.cfg.Lib, Access: s.cfg.Access, MaxRequest: s.cfg.MaxRequest, MaxMemory: s.cfg.MaxMemory,
		Readers: s.cfg.Readers, Writers: s.cfg.Writers, Dashboards: s.cfg.Dashboards,
	})
	if err != nil {
		return err
	}
	// The end of ctx is told through standard input, not by a kill.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.cfg.Command[0], s.cfg.Command[1:]...) // #nosec G204 -- our own binary
	cmd.Env = append(os.Environ(), s.cfg.Env...)
	cmd.ExtraFiles = []*os.File{s.socket}
	// A group of its own keeps Ctrl-C from it; should this process die without a
	// word, the kernel kills it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	log := &childLog{logger: s.cfg.Logger}
	cmd.Stderr, cmd.Stdout = log, log

	ended := make(chan error, 1)
	up := make(chan error, 1)
	go func() {
		// Pdeathsig is sent when the thread that started the child ends, so
		// that thread is kept until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		up <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-up; err != nil {
		return fmt.Errorf("clickhouse: start %s: %w", s.cfg.Command[0], err)
	}
	s.pid.Store(int64(cmd.Process.Pid))
	defer s.pid.Store(0)
	watch, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { s.watchReady(watch) })
	defer watching.Wait()
	defer cancel()
	if _, err := stdin.Write(append(config, '\n')); err != nil {
		s.cfg.Logger.Warn("clickhouse: the child took no configuration", "error", err)
	}
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = stdin.Close()
		select {
		case err = <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			err = <-ended
		}
	}
	if err == nil && ctx.Err() == nil {
		err = fmt.Errorf("it ended by itself: %s", cmd.ProcessState)
	}
	if err != nil {
		return fmt.Errorf("clickhouse: the engine's process: %w%s", err, log.last())
	}
	return nil
}

// watchReady asks until the first child answers.
func (s *Supervisor) watchReady(ctx context.Context) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil}}
	for !s.isReady() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr()+"/ping", nil)
		if err != nil {
			return
		}
		// The connection waits in the socket's queue until the child takes it.
		resp, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				close(s.ready)
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// childLog carries what the child writes into the log, line by line, and keeps
// the last line for the error when it ends.
type childLog struct {
	logger *slog.Logger

	mu       sync.Mutex
	partial  []byte
	lastLine string
}

// maxLine bounds one line of the child's output.
const maxLine = 16 << 10

func (l *childLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		advance, line, _ := bufio.ScanLines(l.partial, len(l.partial) > maxLine)
		if advance == 0 {
			return len(p), nil
		}
		l.take(line)
		l.partial = append(l.partial[:0], l.partial[advance:]...)
	}
}

// take logs one line; the child writes slog's JSON, the engine plain text.
func (l *childLog) take(line []byte) {
	if len(line) == 0 {
		return
	}
	var record struct {
		Level slog.Level `json:"level"`
		Msg   string     `json:"msg"`
	}
	if json.Unmarshal(line, &record) != nil || record.Msg == "" {
		record.Level, record.Msg = slog.LevelWarn, string(line)
	}
	l.lastLine = record.Msg
	l.logger.Log(context.Background(), record.Level, record.Msg, "process", ChildCommand)
}

// last is what the child wrote last, to be appended to an error.
func (l *childLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lastLine == "" {
		return ""
	}
	return fmt.Sprintf(" (its last words: %s)", l.lastLine)
}
