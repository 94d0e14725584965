package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Door bounds the connections of the intake listener. Above the bound the oldest
// connection that has shown no token gives way to the new one, of the address that
// holds most of them: whoever opens connections and says nothing displaces its own,
// and a sender with a token, which is known in milliseconds, is let in. Where all
// have shown a token the new connection is closed.
type Door struct {
	max int

	mu      sync.Mutex
	all     int
	unknown map[netip.Prefix][]*caller // without a token, the oldest first
}

// NewDoor returns a door for so many connections at once.
func NewDoor(connections int) *Door {
	return &Door{max: connections, unknown: map[netip.Prefix][]*caller{}}
}

// Listener lets connections in by the door.
func (d *Door) Listener(ln net.Listener) net.Listener { return doorListener{ln, d} }

type doorListener struct {
	net.Listener
	door *Door
}

func (l doorListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if in := l.door.enter(c); in != nil {
			return in, nil
		}
		_ = c.Close()
	}
}

// caller is one connection.
type caller struct {
	net.Conn
	door  *Door
	addr  netip.Prefix
	known bool
	gone  bool
}

func (d *Door) enter(c net.Conn) *caller {
	in := &caller{Conn: c, door: d, addr: network(c.RemoteAddr().String())}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all >= d.max && !d.displace() {
		return nil
	}
	d.all++
	d.unknown[in.addr] = append(d.unknown[in.addr], in)
	return in
}

// displace closes the oldest connection without a token of the address with most.
func (d *Door) displace() bool {
	var most []*caller
	for _, callers := range d.unknown {
		if len(callers) > len(most) {
			most = callers
		}
	}
	if len(most) == 0 {
		return false
	}
	_ = most[0].Conn.Close() // the server sees it and closes ours
	d.forget(most[0])
	return true
}

// forget takes a connection out of the count.
func (d *Door) forget(c *caller) {
	if c.gone {
		return
	}
	c.gone = true
	d.all--
	d.unlist(c)
}

func (d *Door) unlist(c *caller) {
	callers := d.unknown[c.addr]
	for i, x := range callers {
		if x == c {
			callers = append(callers[:i], callers[i+1:]...)
			break
		}
	}
	if d.unknown[c.addr] = callers; len(callers) == 0 {
		delete(d.unknown, c.addr)
	}
}

// Close closes the connection and gives its place back.
func (c *caller) Close() error {
	c.door.mu.Lock()
	c.door.forget(c)
	c.door.mu.Unlock()
	return c.Conn.Close()
}

type callerKey struct{}

// Server makes an HTTP server with the intake's deadlines, whose requests know their
// connection.
func (d *Door) Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			return context.WithValue(ctx, callerKey{}, c)
		},
	}
}

// Deadlines and bounds of a connection between bodies.
const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 16 << 10 // bytes
)

// identified notes that a request's connection has shown a token.
func identified(ctx context.Context) {
	c, ok := ctx.Value(callerKey{}).(*caller)
	if !ok {
		return
	}
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	if !c.known && !c.gone {
		c.known = true
		c.door.unlist(c)
	}
}
