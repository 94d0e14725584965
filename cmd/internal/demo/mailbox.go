package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// Mail is one mail that the mailbox took.
type Mail struct {
	To, Subject, Body string
	ID                string // its Message-ID: the same mail always has the same
	At                time.Time
}

// Mailbox is a mail server for anybody: what it takes it shows, and sends nowhere.
type Mailbox struct {
	l      net.Listener
	onMail func(Mail)
	served sync.WaitGroup
}

// NewMailbox listens on a loopback port. onMail is called for each mail before it is
// acknowledged, by several connections at once.
func NewMailbox(ctx context.Context, onMail func(Mail)) (*Mailbox, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &Mailbox{l: l, onMail: onMail}
	m.served.Go(m.accept)
	return m, nil
}

// Port is where it listens.
func (m *Mailbox) Port() int { return m.l.Addr().(*net.TCPAddr).Port }

// Close stops listening and waits for the mails under way.
func (m *Mailbox) Close() {
	_ = m.l.Close()
	m.served.Wait()
}

func (m *Mailbox) accept() {
	for {
		c, err := m.l.Accept()
		if err != nil {
			return
		}
		m.served.Go(func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			m.talk(textproto.NewConn(c))
		})
	}
}

// talk speaks as much SMTP as a sender without extensions needs.
func (m *Mailbox) talk(c *textproto.Conn) {
	say := func(format string, args ...any) bool { return c.PrintfLine(format, args...) == nil }
	ok := say("220 demo.example ready")
	var to []string
	for ok {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO":
			ok = say("250 demo.example")
		case "MAIL", "RSET":
			to, ok = nil, say("250 OK")
		case "RCPT":
			_, addr, _ := strings.Cut(rest, "<")
			addr, _, _ = strings.Cut(addr, ">")
			to, ok = append(to, addr), say("250 OK")
		case "DATA":
			if ok = say("354 go on"); ok {
				ok = m.take(c.DotReader(), to) == nil && say("250 OK")
			}
		case "QUIT":
			say("221 bye")
			return
		case "NOOP":
			ok = say("250 OK")
		default:
			ok = say("502 not known here")
		}
	}
}

func (m *Mailbox) take(r io.Reader, to []string) error {
	msg, err := mail.ReadMessage(bufio.NewReader(r))
	if err != nil {
		return fmt.Errorf("read a mail: %w", err)
	}
	body, err := plain(msg)
	if err != nil {
		return fmt.Errorf("read a mail's body: %w", err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil {
		subject = msg.Header.Get("Subject")
	}
	for _, a := range to {
		m.onMail(Mail{To: a, Subject: subject, Body: string(body), ID: msg.Header.Get("Message-ID"), At: time.Now()})
	}
	return nil
}

// plain is a mail's text, the first of its parts where it has several.
func plain(msg *mail.Message) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return io.ReadAll(msg.Body)
	}
	part, err := multipart.NewReader(msg.Body, params["boundary"]).NextPart() // decodes quoted-printable
	if err != nil {
		return nil, err
	}
	return io.ReadAll(part)
}
