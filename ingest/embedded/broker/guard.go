package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"holdfast/ingest/embedded/owner"
)

// What a client may send and hold. kfake allocates a request as large as its first
// four bytes say and trusts the next two, so both are looked at before it does.
const (
	maxRequest      = 100 << 20 // bytes, as Apache Kafka's socket.request.max.bytes
	maxLoginRequest = 64 << 10  // bytes, of a client that has not logged in
	loginTime       = 10 * time.Second
	ownConns        = 2048 // connections of this process's user
	otherConns      = 64   // connections of all others
)

var errFrame = errors.New("not a request that this broker takes")

// guard bounds the connections of a listener and what comes over them.
func (c Config) guard(ln net.Listener) net.Listener {
	return guarded{
		Listener: owner.Listen(ln, owner.Config{Own: ownConns, Foreign: otherConns, Only: c.OwnerOnly}),
		login:    c.Password != "",
	}
}

type guarded struct {
	net.Listener
	login bool
}

func (g guarded) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	f := &frames{Conn: c}
	if f.known.Store(!g.login); g.login {
		_ = c.SetReadDeadline(time.Now().Add(loginTime))
	}
	return f, nil
}

// frames is a connection whose requests are looked at as they pass. The broker asks
// for a login by itself; this only learns of it, to bound who has not.
type frames struct {
	net.Conn
	known atomic.Bool // the client has logged in, or need not

	head [8]byte // a request's size, key and version, on their way
	out  []byte  // what of head has not been read yet
	left int     // bytes of the request after head

	mu      sync.Mutex
	waiting []request // whose answers are to come, before the login is done
	passed  int       // steps of the login that succeeded
}

type request struct{ key, version int16 }

// scramSteps is how many answers a login by SCRAM takes.
const scramSteps = 2

func (f *frames) Read(p []byte) (int, error) {
	if len(f.out) == 0 && f.left == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	if len(f.out) > 0 {
		n := copy(p, f.out)
		f.out = f.out[n:]
		return n, nil
	}
	n, err := f.Conn.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// next reads the beginning of a request, and refuses one that must not pass.
func (f *frames) next() error {
	if _, err := io.ReadFull(f.Conn, f.head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(f.head[:4])
	r := request{int16(binary.BigEndian.Uint16(f.head[4:6])), int16(binary.BigEndian.Uint16(f.head[6:8]))}
	limit := uint32(maxRequest)
	if !f.known.Load() {
		limit = maxLoginRequest
		switch kmsg.Key(r.key) {
		case kmsg.SASLHandshake, kmsg.SASLAuthenticate, kmsg.ApiVersions:
		default:
			return fmt.Errorf("%w: key %d before the login", errFrame, r.key)
		}
		f.mu.Lock()
		f.waiting = append(f.waiting, r)
		f.mu.Unlock()
	}
	// kfake asks for the layout of every key, and has none of an unknown one.
	if size < 8 || size > limit || kmsg.RequestForKey(r.key) == nil {
		return fmt.Errorf("%w: key %d, %d bytes", errFrame, r.key, size)
	}
	f.out, f.left = f.head[:], int(size)-4
	return nil
}

// Write passes an answer on. The broker writes each with one call.
func (f *frames) Write(p []byte) (int, error) {
	if !f.known.Load() {
		f.answered(p)
	}
	return f.Conn.Write(p)
}

// answered looks whether an answer completes the login.
func (f *frames) answered(p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 {
		return
	}
	r := f.waiting[0]
	f.waiting = f.waiting[1:]
	at := 8 // after the size and the correlation id
	if r.version >= 2 {
		at++ // the tags of a flexible header
	}
	if kmsg.Key(r.key) != kmsg.SASLAuthenticate || len(p) < at+2 || binary.BigEndian.Uint16(p[at:]) != 0 {
		return
	}
	if f.passed++; f.passed == scramSteps {
		_ = f.SetReadDeadline(time.Time{})
		f.known.Store(true)
	}
}
