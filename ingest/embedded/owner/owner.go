// Package owner tells, for connections over loopback, which user of this machine
// is at the other end: the kernel knows the owner of every socket.
package owner

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Config bounds a listener.
type Config struct {
	Own     int // connections of this process's user and of root at once
	Foreign int // connections of all others at once
}

// Listen bounds a listener so that other users of the machine cannot hold the places
// that this one needs. Connections above a bound are closed at once.
func Listen(ln net.Listener, cfg Config) net.Listener {
	return &listener{Listener: ln, own: make(chan struct{}, cfg.Own), foreign: make(chan struct{}, cfg.Foreign)}
}

type listener struct {
	net.Listener
	own, foreign chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		places := l.foreign
		uid, err := Of(c)
		own := err == nil && (uid == 0 || uid == os.Geteuid())
		if own {
			places = l.own
		}
		select {
		case places <- struct{}{}:
			return &conn{Conn: c, own: own, leave: sync.OnceFunc(func() { <-places })}, nil
		default:
			_ = c.Close()
		}
	}
}

// conn gives its place back when it is closed.
type conn struct {
	net.Conn
	own   bool
	leave func()
}

// Own reports whether a connection that Listen's listener took is of this process's user
// or of root. Both can read what this process can, its secrets included.
func Own(c net.Conn) bool {
	o, ok := c.(*conn)
	return ok && o.own
}

func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// ErrUnknown says that no socket of this machine is at the other end.
var ErrUnknown = errors.New("the other end is no socket of this machine")

// Of returns the id of the user who owns the other end of a TCP connection. That end must
// still be held by a process: of one that was closed the kernel knows no user, and shows
// root's number in its place.
func Of(c net.Conn) (uid int, err error) {
	ours, theirs, err := ends(c)
	if err != nil {
		return 0, err
	}
	if uid, err = ask(theirs, ours); err == nil || errors.Is(err, ErrUnknown) {
		return uid, err
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		uid, err = find(f, theirs, ours)
		_ = f.Close()
		if err == nil {
			return uid, nil
		}
	}
	return 0, fmt.Errorf("%s: %w", theirs, ErrUnknown)
}

func ends(c net.Conn) (ours, theirs netip.AddrPort, err error) {
	a, ok1 := c.LocalAddr().(*net.TCPAddr)
	b, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return ours, theirs, fmt.Errorf("%T: %w", c, ErrUnknown)
	}
	plain := func(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
	return plain(a.AddrPort()), plain(b.AddrPort()), nil
}

// find reads a table of sockets in the form of /proc/net/tcp: numbers in
// hexadecimal, addresses in words of the machine's byte order.
func find(table io.Reader, local, remote netip.AddrPort) (uid int, err error) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		if a, err := address(f[1]); err != nil || a != local {
			continue
		}
		if b, err := address(f[2]); err != nil || b != remote {
			continue
		}
		if f[9] == "0" {
			return 0, ErrUnknown // no process holds it
		}
		return strconv.Atoi(f[7])
	}
	return 0, errors.Join(ErrUnknown, lines.Err())
}

func address(s string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || len(host) != 8 && len(host) != 32 {
		return netip.AddrPort{}, ErrUnknown
	}
	var raw []byte
	for ; len(host) >= 8; host = host[8:] {
		word, err := strconv.ParseUint(host[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, err
		}
		raw = binary.NativeEndian.AppendUint32(raw, uint32(word))
	}
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}
