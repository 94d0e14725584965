package edge

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"holdfast/schemas"
)

// The bounds of one policy request. Postfix's own lines end at 2,048 bytes by default
// (line_length_limit); a client certificate's subject is the longest attribute.
const (
	maxAttribute  = 8 << 10
	maxAttributes = 100
)

// idleFor is how long a connection may wait for its next request; Postfix keeps it for 300 s.
const idleFor = 10 * time.Minute

// errPolicy says that what came is no policy request.
var errPolicy = errors.New("not a policy request")

// ServePostfix answers Postfix's policy delegation protocol (SMTPD_POLICY_README): lines
// name=value, an empty line; the answer is action=…, an empty line; the connection is kept.
// Of an attribute that is repeated the first counts, unknown ones are ignored. In trouble
// the connection is closed without an answer, and Postfix does what its default_action says.
func (e *Edge) ServePostfix(ctx context.Context, l net.Listener) error {
	return e.serveConns(ctx, l, func(c net.Conn) {
		in := bufio.NewReaderSize(c, maxAttribute)
		var q question
		var out []byte
		for {
			_ = c.SetReadDeadline(time.Now().Add(idleFor))
			if _, err := in.Peek(1); err != nil {
				return
			}
			_ = c.SetReadDeadline(time.Now().Add(e.cfg.Timeout))
			if err := q.read(in, &e.cfg.Postfix); err != nil {
				if !errors.Is(err, io.EOF) && ctx.Err() == nil {
					e.deps.Metrics.unanswered(viaPostfix)
				}
				return
			}
			out = append(out[:0], "action="...)
			out = append(out, e.judge(&q)...)
			out = append(out, '\n', '\n')
			_ = c.SetWriteDeadline(time.Now().Add(e.cfg.Timeout))
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	})
}

// question is what matters of one policy request.
type question struct {
	accounts []string // by Postfix.Accounts; empty: not there, or without a value
	address  string
	key      string // the credential
	state    string // the protocol state: RCPT, DATA, END-OF-MESSAGE …
}

// read takes one request apart.
func (q *question) read(in *bufio.Reader, cfg *Postfix) error {
	q.accounts, q.address, q.key, q.state = append(q.accounts[:0], make([]string, len(cfg.Accounts))...), "", "", ""
	request := false
	for n := 0; ; n++ {
		line, err := in.ReadSlice('\n')
		if err != nil {
			if n == 0 && len(line) == 0 {
				return err
			}
			return errPolicy
		}
		line = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
		if len(line) == 0 {
			if !request {
				return errPolicy
			}
			return nil
		}
		name, value, ok := bytes.Cut(line, []byte{'='})
		if !ok || n >= maxAttributes {
			return errPolicy
		}
		switch string(name) {
		case "request":
			if string(value) != "smtpd_access_policy" {
				return errPolicy
			}
			request = true
		case "protocol_state":
			if q.state == "" {
				q.state = string(value)
			}
		}
		if q.address == "" && string(name) == cfg.Address {
			q.address = string(value)
		}
		if q.key == "" && cfg.Credential != "" && string(name) == cfg.Credential {
			q.key = string(value)
		}
		for i := range cfg.Accounts {
			if q.accounts[i] == "" && string(name) == cfg.Accounts[i].Name {
				q.accounts[i] = cfg.Accounts[i].account(string(value))
			}
		}
	}
}

// account is the account that an attribute's value names; empty where it names none.
func (a *Attribute) account(value string) string {
	at := strings.LastIndexByte(value, '@')
	switch a.Take {
	case "local_part":
		if at >= 0 {
			value = value[:at]
		}
	case "domain":
		value = strings.ToLower(value[at+1:])
	}
	if a.Map != nil {
		return a.Map[value]
	}
	return value
}

// judge chooses the action.
func (e *Edge) judge(q *question) string {
	p := &e.cfg.Postfix
	if a, err := netip.ParseAddr(q.address); err == nil {
		answer := e.Lookup(schemas.IPEntity(e.cfg.NAT64.IP(a)))
		if answer.Known && answer.Status == statusBlocked && e.believed(&answer) {
			e.deps.Metrics.lookup(viaPostfix, &answer)
			return p.Blocked
		}
	}
	account := ""
	for _, name := range q.accounts {
		if name != "" {
			account = name
			break
		}
	}
	if account == "" {
		e.deps.Metrics.nameless()
		return p.Unknown
	}
	answer := e.Lookup(schemas.Entity{Kind: schemas.KindAccount, ID: account})
	e.deps.Metrics.lookup(viaPostfix, &answer)
	switch {
	case !answer.Known || !e.believed(&answer):
		return p.Unknown
	case answer.Status == statusSuspended || answer.Status == statusBlocked:
		return p.Suspended
	case q.key != "" && slices.Contains(answer.Revoked, q.key):
		return p.Revoked
	case q.state != "RCPT":
	case answer.Status == statusThrottled && !e.limits.allow(account, e.now()),
		answer.PerDay > 0 && !e.days.allow(account, answer.PerDay, e.now()):
		return p.Throttled
	}
	return "DUNNO"
}

// believed reports whether an answer is young enough to act on.
func (e *Edge) believed(a *Answer) bool {
	limit := e.cfg.Postfix.StaleLimit
	return limit == 0 || a.Age <= limit && !a.AsOf.IsZero()
}
