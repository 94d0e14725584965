package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"holdfast/ingest/embedded/owner"
)

// What a client may send and hold. kfake allocates a request as large as its first
// four bytes say and trusts the next two, so both are looked at before it does.
const (
	maxRequest      = 100 << 20 // bytes, as Apache Kafka's socket.request.max.bytes
	maxLoginRequest = 64 << 10  // bytes, of a client that has not logged in
	maxHandshake    = 4 << 10   // bytes, of a request for a login
	loginTime       = 10 * time.Second
	ownConns        = 2048 // connections of this process's user
	otherConns      = 64   // connections of all others
)

var errFrame = errors.New("not a request that this broker takes")

// guard bounds the connections of a listener and what comes over them.
func (b *Broker) guard(ln net.Listener) net.Listener {
	g := guarded{Listener: owner.Listen(ln, owner.Config{Own: ownConns, Foreign: otherConns}), login: b.cfg.Password != ""}
	if g.login && b.cfg.Peers {
		g.introduce = introduction(b.peer)
	}
	return g
}

// peerUser is the broker's name for whoever needs no login. Its password is random and
// leaves this process nowhere.
const peerUser = "peer"

// introduction is a login by PLAIN, two requests, which the guard puts before a peer's first
// request.
func introduction(password string) []byte {
	f := kmsg.NewRequestFormatter()
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Version, handshake.Mechanism = 1, "PLAIN"
	authenticate := kmsg.NewPtrSASLAuthenticateRequest()
	authenticate.SASLAuthBytes = []byte("\x00" + peerUser + "\x00" + password)
	return append(f.AppendRequest(nil, handshake, 1), f.AppendRequest(nil, authenticate, 2)...)
}

type guarded struct {
	net.Listener
	login     bool
	introduce []byte // nil: peers log in as everybody does
}

func (g guarded) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	f := &frames{Conn: c}
	if owner.Own(c) {
		f.introduce = g.introduce
	}
	if f.known.Store(!g.login); g.login && f.introduce == nil {
		_ = c.SetReadDeadline(time.Now().Add(loginTime))
	}
	return f, nil
}

// frames is a connection whose requests are looked at as they pass. The broker asks
// for a login by itself; this only learns of it, to bound who has not.
type frames struct {
	net.Conn
	known atomic.Bool // the client has logged in, or need not
	// introduce is a peer's login, put before its first request that needs one; nil once
	// it is, or the client logs in by itself.
	introduce []byte

	introduced bool // a login was put before a request

	head [8]byte // a request's size, key and version, on their way
	out  []byte  // what of head has not been read yet
	left int     // bytes of the request after head

	mu      sync.Mutex
	waiting []request // whose answers are to come, before the login is done
	passed  int       // steps of the login that succeeded
}

type request struct {
	key, version int16
	ours         bool // put in by the guard: its answer goes no further
}

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
	r := request{key: int16(binary.BigEndian.Uint16(f.head[4:6])), version: int16(binary.BigEndian.Uint16(f.head[6:8]))}
	limit := uint32(maxRequest)
	var before []byte
	if !f.known.Load() {
		switch kmsg.Key(r.key) {
		case kmsg.ApiVersions:
			limit = maxLoginRequest
		case kmsg.SASLHandshake, kmsg.SASLAuthenticate:
			limit, f.introduce = maxLoginRequest, nil
		default:
			if !f.introduced && f.introduce == nil {
				return fmt.Errorf("%w: key %d before the login", errFrame, r.key)
			}
			before, f.introduce, f.introduced = f.introduce, nil, true
		}
		f.await(before != nil, r)
	}
	if kmsg.Key(r.key) == kmsg.SASLHandshake {
		limit = maxHandshake
	}
	// kfake asks for the layout of every key, and has none of an unknown one.
	if size < 8 || size > limit || kmsg.RequestForKey(r.key) == nil {
		return fmt.Errorf("%w: key %d, %d bytes", errFrame, r.key, size)
	}
	f.out, f.left = f.head[:], int(size)-4
	if before != nil {
		f.out = append(slices.Clip(before), f.head[:]...)
	}
	if kmsg.Key(r.key) == kmsg.SASLHandshake {
		return f.handshake()
	}
	return nil
}

// handshake lets only the mechanism pass by which clients log in. PLAIN is the guard's own,
// and kfake takes it from users that do not exist.
func (f *frames) handshake() error {
	body := make([]byte, f.left)
	if _, err := io.ReadFull(f.Conn, body); err != nil {
		return err
	}
	f.out, f.left = append(f.head[:], body...), 0
	r := kbin.Reader{Src: body}
	_, _ = r.Int32(), r.NullableString() // correlation id, client id
	if mechanism := r.String(); r.Complete() != nil || mechanism != Mechanism {
		return fmt.Errorf("%w: a login by %.20q", errFrame, mechanism)
	}
	return nil
}

// await notes a request, and before it those of an introduction.
func (f *frames) await(introduced bool, r request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if introduced {
		f.waiting = append(f.waiting, request{key: int16(kmsg.SASLHandshake), version: 1, ours: true}, request{key: int16(kmsg.SASLAuthenticate), ours: true})
	}
	f.waiting = append(f.waiting, r)
}

// Write passes an answer on. The broker writes each with one call.
func (f *frames) Write(p []byte) (int, error) {
	if !f.known.Load() && f.answered(p) {
		return len(p), nil
	}
	return f.Conn.Write(p)
}

// answered looks whether an answer completes the login, and reports whether it is one to
// the guard itself.
func (f *frames) answered(p []byte) (ours bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 {
		return false
	}
	r := f.waiting[0]
	f.waiting = f.waiting[1:]
	at := 8 // after the size and the correlation id
	if r.version >= 2 {
		at++ // the tags of a flexible header
	}
	if kmsg.Key(r.key) != kmsg.SASLAuthenticate || len(p) < at+2 || binary.BigEndian.Uint16(p[at:]) != 0 {
		return r.ours
	}
	if f.passed++; f.passed == scramSteps || r.ours {
		_ = f.SetReadDeadline(time.Time{})
		f.known.Store(true)
	}
	return r.ours
}
