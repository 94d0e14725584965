package smtp_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is a small SMTP server that keeps what it is given.
type server struct {
	t        *testing.T
	listener net.Listener
	tls      *tls.Config
	starttls bool
	utf8     bool // offers SMTPUTF8
	wrap     func(net.Conn) net.Conn
	refuse   string // the answer to RCPT where it is not taken
	wg       sync.WaitGroup

	mu    sync.Mutex
	mails []received
}

type received struct {
	from, user string
	to         []string
	data       string
	secure     bool
}

func newServer(t *testing.T, starttls bool) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, listener: l, starttls: starttls}
	s.wg.Go(s.serve)
	t.Cleanup(func() { l.Close(); s.wg.Wait() })
	return s
}

func (s *server) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *server) serve() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		wrap := s.wrap
		s.mu.Unlock()
		if wrap != nil {
			c = wrap(c)
		}
		s.wg.Go(func() { s.talk(c) })
	}
}

func (s *server) talk(c net.Conn) {
	defer func() { c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	say := func(line string) { _, _ = c.Write([]byte(line + "\r\n")) }
	var m received
	say("220 test ready")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb, rest, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO":
			say("250-test")
			if s.starttls && !m.secure {
				say("250-STARTTLS")
			}
			if s.utf8 {
				say("250-SMTPUTF8")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go")
			c = tls.Server(c, s.tls)
			r = bufio.NewReader(c)
			m.secure = true
		case "AUTH":
			_, secret, _ := strings.Cut(rest, " ")
			plain, _ := base64.StdEncoding.DecodeString(secret)
			if parts := strings.Split(string(plain), "\x00"); len(parts) != 3 || parts[2] != "right" {
				say("535 no")
				continue
			} else {
				m.user = parts[1]
			}
			say("235 yes")
		case "MAIL":
			m.from = rest
			say("250 ok")
		case "RCPT":
			if s.refuse != "" {
				say(s.refuse)
				continue
			}
			m.to = append(m.to, rest)
			say("250 ok")
		case "DATA":
			say("354 go")
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				m.data += line
			}
			s.mu.Lock()
			s.mails = append(s.mails, m)
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("421 not now") // an end that goes wrong after the mail was taken
			return
		default:
			say("250 ok")
		}
	}
}

func (s *server) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}

// certificate makes a certificate for this machine and a file to trust it by.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, path
}
