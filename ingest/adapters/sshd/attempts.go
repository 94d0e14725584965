package sshd

import (
	"strings"
	"time"
)

// handle takes one message of sshd at its time.
func (r *Reader) handle(host, pid string, m message, at time.Time) {
	c := r.connection(host, pid, &m, at)
	if m.kind == ending {
		r.close(c, host, pid, m, at)
		return
	}
	if m.named {
		c.user, c.named = m.user, true
	}
	if c.reason != "" && m.kind.tells() && m.kind != unknown && m.outcome != "success" && m.outcome != "challenge" {
		m.reason = c.reason
	}
	switch m.kind {
	case opening:
	case attempt:
		r.attempt(c, m, at)
	case unknown:
		c.invalid, c.reason = true, m.reason
		for range m.times - 1 { // those before the last can have tried nothing
			r.tell(c, told{m.invalid(), at, r.nextID()}, at)
		}
		c.unknown = &told{m, at, r.nextID()}
	case refused:
		r.fail(c, m, at)
		c.absorb++
	case pamError:
		r.answer(c, m, at, 0)
	case pamStep:
		r.step(c, m, at)
	case pamMore:
		if len(c.pam) > 0 {
			for range m.times {
				r.keepStep(c, m, at)
			}
		}
	case tooMany:
		r.spent(c, m, at)
	case turned:
		r.fail(c, m, at)
	}
}

// connection returns the connection that a line is about, a new one where none is
// known, the process has come again, or somebody else is at the other end. Where a
// line can be read in several ways, what its connection said before decides.
func (r *Reader) connection(host, pid string, m *message, at time.Time) *conn {
	c := r.conns.find(host, pid, m)
	if c != nil {
		c.settle(m)
		begins := m.kind == unknown && (c.unknown != nil || c.key1 != nil || c.counted > 0)
		if c.differs(m.peer) || c.over && (m.kind != ending || m.named && c.closedBy) || begins {
			r.finish(c, at)
			c = nil
		}
	}
	if c == nil {
		m.ambiguous()
		if m.kind == ending && !m.named && !m.gaveUp {
			return nil
		}
		c = &conn{host: host, pid: pid, began: at}
		if r.conns.order.Len() == maxPending {
			r.finish(r.conns.oldest(), at)
		}
		r.conns.add(c)
	}
	c.learn(m.peer)
	if m.kind.tells() && !m.peer.known() || m.kind == ending && !m.peer.known() {
		m.peer = c.peer
	}
	return c
}

// settle chooses, of the ways to read a line, the one that agrees with what the
// connection said before.
func (c *conn) settle(m *message) {
	if len(m.others) == 0 {
		return
	}
	for _, o := range m.others {
		if c.invalid && o.user == c.user && !c.differs(o.peer) || !c.invalid && c.peer.port > 0 && o.peer.port == c.peer.port && !c.differs(o.peer) {
			m.user, m.peer, m.others = o.user, o.peer, nil
			return
		}
	}
	m.ambiguous()
}

// ambiguous leaves out the address of a line that can be read in several ways: better
// none than one that the client chose.
func (m *message) ambiguous() {
	if len(m.others) > 0 {
		m.user, m.peer, m.others = m.others[0].user, peer{}, nil
	}
}

// attempt takes "Accepted", "Failed" and "Partial".
func (r *Reader) attempt(c *conn, m message, at time.Time) {
	c.unknown = nil
	switch {
	case m.outcome == "success":
		r.accepted(c, m, at)
	case m.outcome == "challenge":
		c.challenged, c.key1 = true, nil
		for range m.times {
			r.write(r.nextID(), m, at)
		}
	case c.absorb > 0:
		c.absorb--
	case m.method == "publickey":
		r.key(c, m, at)
	case strings.HasPrefix(m.method, "keyboard-interactive"):
		r.answer(c, m, at, 1)
	default:
		for range m.times {
			r.fail(c, m, at)
		}
	}
}

// accepted is a success: keys that were offered before the right one were no guesses,
// nor is a module of PAM's refusal where another one of the stack consented. Words on
// another user were.
func (r *Reader) accepted(c *conn, m message, at time.Time) {
	for _, p := range c.pam {
		if p.msg.named && p.msg.user != m.user {
			r.tell(c, p, at)
		}
	}
	c.pam, c.key1, c.spent = nil, nil, nil
	for range m.times {
		r.write(r.nextID(), m, at)
	}
	r.conns.remove(c)
}

// key is a key that was not taken. An agent offers all that it has, so that one
// connection's keys are one attempt, and none at all where the right one follows. Of
// a user that may not log in none can follow.
func (r *Reader) key(c *conn, m message, at time.Time) {
	switch {
	case m.reason != "" && !c.keysTold:
		c.keysTold = true
		r.fail(c, m, at)
	case m.reason == "" && c.key1 == nil:
		c.key1 = &told{m, at, r.nextID()}
	}
}

// answer is one side's word on an answer of keyboard-interactive, which PAM (side 0)
// and sshd (side 1) both may tell, or one of them.
func (r *Reader) answer(c *conn, m message, at time.Time, side int) {
	for range m.times {
		if c.answers[side]++; c.answers[side] > c.answered {
			c.answered++
			r.fail(c, m, at)
		}
	}
}

// step keeps a module's refusal until it is known what became of the attempt. Several
// modules of a stack say no to the same password. One who tries a second user has
// failed with the first.
func (r *Reader) step(c *conn, m message, at time.Time) {
	if !m.named && c.invalid {
		m.user, m.reason = c.user, c.reason
	} else if !m.named {
		m.user = c.user
	}
	c.unknown = nil
	if c.modules == nil {
		c.modules = map[string]int{}
	}
	if len(c.modules) >= maxSteps {
		return
	}
	for range m.times {
		highest := 0
		for _, n := range c.modules {
			highest = max(highest, n)
		}
		if c.modules[m.module]++; c.modules[m.module] > highest {
			r.keepStep(c, m, at)
		}
	}
	if len(c.pam) > 1 && m.named && c.pam[0].msg.named && c.pam[0].msg.user != m.user {
		for _, p := range c.pam {
			r.tell(c, p, at)
		}
		c.pam = nil
	}
}

func (r *Reader) keepStep(c *conn, m message, at time.Time) {
	if len(c.pam) == maxSteps {
		r.tell(c, c.pam[0], c.pam[0].at)
		c.pam = c.pam[1:]
	}
	c.pam = append(c.pam, told{m, at, r.nextID()})
}

// spent says that a connection used up its attempts: one where none was told.
func (r *Reader) spent(c *conn, m message, at time.Time) {
	if !m.named {
		m.user = c.user
	}
	m.outcome = "failure"
	c.flush(r)
	switch {
	case c.counted > 0:
	case m.peer.known():
		if c.key1 != nil {
			m.method = c.key1.msg.method
		}
		c.key1 = nil
		r.fail(c, m, at)
	default:
		c.spent = &told{m, at, r.nextID()}
	}
}

// fail reports a failure that is certain; a module of PAM's word on it is no other.
func (r *Reader) fail(c *conn, m message, at time.Time) {
	if len(c.pam) > 0 {
		c.pam = c.pam[1:]
	}
	c.unknown = nil
	m.outcome = "failure"
	c.counted++
	r.write(r.nextID(), m, at)
}

// tell reports a failure that became certain.
func (r *Reader) tell(c *conn, t told, at time.Time) {
	if !t.msg.peer.known() {
		t.msg.peer = c.peer
	}
	if !t.msg.named && t.msg.user == "" {
		t.msg.user = c.user
	}
	t.msg.outcome = "failure"
	c.counted++
	r.write(t.id, t.msg, at)
}

// invalid is the attempt that an "Invalid user" line stands for.
func (m message) invalid() message {
	m.method = "invalid"
	return m
}

// flush reports what only the connection's end makes certain.
func (c *conn) flush(r *Reader) {
	if u := c.unknown; u != nil && (u.msg.peer.known() || c.peer.known()) {
		r.tell(c, told{u.msg.invalid(), u.at, u.id}, u.at)
	}
	for _, p := range c.pam {
		r.tell(c, p, p.at)
	}
	c.unknown, c.pam = nil, nil
}

// close takes a line that says that a connection is over. Where nothing that was tried
// was told of, that it was over before a login is one attempt: a server that takes keys
// only says no more.
func (r *Reader) close(c *conn, host, pid string, m message, at time.Time) {
	if m.ends != "" {
		if c = r.conns.find(host, m.ends, &m); c == nil {
			return
		}
	}
	if c == nil {
		return
	}
	c.flush(r)
	switch {
	case c.counted > 0 || c.challenged:
	case c.spent != nil && c.peer.known():
		r.tell(c, *c.spent, at)
	case c.key1 != nil:
		r.tell(c, *c.key1, c.key1.at)
	case m.named, m.gaveUp:
		if !m.named {
			m.user = c.user
		}
		if m.reason == "" {
			m.reason = c.reason
		}
		for range max(1, m.times) {
			r.fail(c, m, at)
		}
	}
	c.key1, c.spent, c.over = nil, nil, true
	c.closedBy = c.closedBy || m.named
}

// finish forgets a connection, which must be over by now.
func (r *Reader) finish(c *conn, at time.Time) {
	if !c.over {
		r.close(c, c.host, c.pid, message{kind: ending}, at)
	}
	r.conns.remove(c)
}

// expire finishes the connections that must be over.
func (r *Reader) expire(now time.Time) {
	for c := r.conns.oldest(); c != nil && now.Sub(c.began) > graceTime; c = r.conns.oldest() {
		r.finish(c, now)
	}
}

// end finishes all connections of a log that is over. Whether a key that was not taken
// shortly before was followed by the right one is not known.
func (r *Reader) end(now time.Time) {
	for c := r.conns.oldest(); c != nil; c = r.conns.oldest() {
		if now.Sub(c.began) < loginGrace {
			c.key1 = nil
		}
		r.finish(c, now)
	}
}
