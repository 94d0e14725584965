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
	"os"
	"os/signal"
	"syscall"
	"time"
)

// ChildCommand is the hidden command under which the main binary must call Child.
const ChildCommand = "clickhouse-child"

// listenerFD is where the child finds the socket that the Supervisor holds.
const listenerFD = 3

// exitRefused is the child's status when starting it again would not help.
const exitRefused = 3

// Child is the whole of the child process: it reads its configuration from the
// first line of standard input and serves until standard input ends, which it
// does when the parent ends. It logs to standard error. The caller passes its
// result to os.Exit.
func Child() int {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	stdin := bufio.NewReader(os.Stdin)
	cfg, err := readChildConfig(stdin)
	if err != nil {
		logger.Error(err.Error())
		return exitRefused
	}
	cfg.Logger = logger
	// The parent says when to end; Ctrl-C in a terminal reaches it too.
	signal.Ignore(syscall.SIGINT, syscall.SIGPIPE)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
		// A statement may hold the engine for long; the parent is gone.
		time.Sleep(8 * time.Second)
		os.Exit(1)
	}()
	if err := Serve(ctx, cfg); err != nil {
		logger.Error(err.Error())
		return exitRefused
	}
	return 0
}

func readChildConfig(stdin *bufio.Reader) (ServeConfig, error) {
	var cfg ServeConfig
	line, err := stdin.ReadBytes('\n')
	if err != nil {
		return cfg, fmt.Errorf("clickhouse: %s is started by `holdfast run`, not by hand: it waits for its configuration on standard input: %w", ChildCommand, err)
	}
	if err := json.Unmarshal(line, &cfg); err != nil {
		return cfg, fmt.Errorf("clickhouse: child's configuration: %w", err)
	}
	socket := os.NewFile(listenerFD, "listener")
	if socket == nil {
		return cfg, errors.New("clickhouse: the child was given no socket")
	}
	cfg.Listener, err = net.FileListener(socket)
	return cfg, errors.Join(err, socket.Close())
}
