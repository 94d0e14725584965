package edge

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// serveConns accepts at most cfg.MaxConns connections at a time and gives each to serve,
// until ctx ends; then it closes them.
func (e *Edge) serveConns(ctx context.Context, l net.Listener, serve func(net.Conn)) error {
	l = netutil.LimitListener(l, e.cfg.MaxConns)
	var (
		mu   sync.Mutex
		open = map[net.Conn]bool{}
		work sync.WaitGroup
	)
	stop := context.AfterFunc(ctx, func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for c := range open {
			_ = c.Close()
		}
	})
	defer stop()
	defer work.Wait()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			if c != nil {
				_ = c.Close()
			}
			return nil
		}
		if err != nil { // of descriptors there may be too few for a moment
			e.log.Warn("a connection cannot be accepted", "address", l.Addr(), "error", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		mu.Lock()
		open[c] = true
		mu.Unlock()
		work.Go(func() {
			defer func() {
				_ = c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			}()
			if ctx.Err() == nil {
				serve(c)
			}
		})
	}
}
