package sshd

import (
	"container/list"
	"time"
)

const (
	// maxPending bounds the connections remembered; the oldest is taken for over.
	maxPending = 4096
	// maxNear bounds those looked at for a line that names no process.
	maxNear = 64
	// maxSteps bounds what is remembered of PAM's words on one connection.
	maxSteps = 32
	// graceTime is how long a connection may take to log in; sshd's own limit is
	// 2 min by default.
	graceTime = 10 * time.Minute
	// loginGrace is sshd's own limit: what a log that ends earlier leaves open is not
	// known.
	loginGrace = 2 * time.Minute
)

// told is a line that will be an attempt unless a later one says otherwise.
type told struct {
	msg message
	at  time.Time
	id  string
}

// conn is what is known of one connection.
type conn struct {
	at        *list.Element
	host, pid string
	peer      peer
	user      string // whom it was last said to try
	named     bool
	invalid   bool   // by an "Invalid user" line or one like it
	reason    string // of its failures
	began     time.Time
	over      bool
	closedBy  bool // the line that said so named a user

	unknown *told  // a user that may not log in, of whom no attempt has been seen
	pam     []told // words of PAM's modules that no attempt has been seen for
	modules map[string]int
	key1    *told // the first key that was not taken, of a user who exists
	spent   *told // "too many", before anything said whose connection it is

	counted    int // failures so far
	answers    [2]int
	answered   int  // the higher of PAM's and sshd's words on answers
	absorb     int  // lines "Failed" that another line told already
	keysTold   bool // a key of a user that may not log in was counted
	challenged bool
}

// conns are the connections that may still say something, oldest first.
type conns struct {
	order *list.List // of *conn
	byKey map[string]*conn
}

func newConns() conns { return conns{list.New(), map[string]*conn{}} }

// find returns the connection that a line is about, or nil.
func (cs *conns) find(host, pid string, m *message) *conn {
	if pid != "" {
		return cs.byKey[host+" "+pid]
	}
	// Without a process only who is at the other end tells connections apart.
	n := 0
	for e := cs.order.Back(); e != nil && n < maxNear; e, n = e.Prev(), n+1 {
		if c := e.Value.(*conn); c.pid == "" && c.host == host && c.alike(m) {
			return c
		}
	}
	return nil
}

// alike says whether a line without a process can be about this connection.
func (c *conn) alike(m *message) bool {
	if c.differs(m.peer) {
		return false
	}
	if m.peer.known() && m.peer.port > 0 && m.peer.port == c.peer.port {
		return true
	}
	return m.peer.known() && (!m.named || !c.named || m.user == c.user) || !m.peer.known() && (!m.named || m.user == c.user)
}

// differs says whether somebody else is at the other end.
func (c *conn) differs(p peer) bool {
	if !p.known() || !c.peer.known() {
		return false
	}
	if p.ip.IsValid() && c.peer.ip.IsValid() && p.ip != c.peer.ip || p.name != "" && c.peer.name != "" && p.name != c.peer.name {
		return true
	}
	return p.port > 0 && c.peer.port > 0 && p.port != c.peer.port
}

// learn takes over what a line says of the other end.
func (c *conn) learn(p peer) {
	if p.ip.IsValid() {
		c.peer.ip = p.ip
	}
	if p.name != "" {
		c.peer.name = p.name
	}
	if p.port > 0 {
		c.peer.port = p.port
	}
}

func (cs *conns) add(c *conn) {
	c.at = cs.order.PushBack(c)
	if c.pid != "" {
		cs.byKey[c.host+" "+c.pid] = c
	}
}

func (cs *conns) remove(c *conn) {
	cs.order.Remove(c.at)
	if key := c.host + " " + c.pid; cs.byKey[key] == c {
		delete(cs.byKey, key)
	}
}

func (cs *conns) oldest() *conn {
	if e := cs.order.Front(); e != nil {
		return e.Value.(*conn)
	}
	return nil
}
