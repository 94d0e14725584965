package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// platform confirms every action that it is sent.
type platform struct {
	addr   string
	server *http.Server
}

func newPlatform() (*platform, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &platform{addr: l.Addr().String(), server: &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})}}
	go func() { _ = p.server.Serve(l) }()
	return p, nil
}

func (p *platform) close() { _ = p.server.Close() }

// mailServer keeps whom it was asked to take mail for. It does not offer SMTPUTF8.
type mailServer struct {
	listener net.Listener
	mu       sync.Mutex
	asked    []string // what stood behind MAIL and RCPT
}

func newMailServer() (*mailServer, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &mailServer{listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.talk(c)
		}
	}()
	return s, nil
}

func (s *mailServer) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *mailServer) close() { _ = s.listener.Close() }

// lines are what it was asked, so far.
func (s *mailServer) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

func (s *mailServer) talk(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	say := func(line string) { _, _ = io.WriteString(c, line+"\r\n") }
	say("220 ready")
	for data := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if data {
			if data = line != "."; !data {
				say("250 taken")
			}
			continue
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); verb {
		case "EHLO":
			say("250-cases")
			say("250 8BITMIME")
		case "MAIL", "RCPT":
			s.mu.Lock()
			s.asked = append(s.asked, line)
			s.mu.Unlock()
			say("250 ok")
		case "DATA":
			data = true
			say("354 go")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}
