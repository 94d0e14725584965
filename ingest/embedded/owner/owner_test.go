package owner_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"holdfast/ingest/embedded/owner"
)

// TestOf looks at connections over both kinds of loopback address.
func TestOf(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err)
			continue
		}
		defer ln.Close()
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if uid, err := owner.Of(server); err != nil || uid != os.Geteuid() {
			t.Errorf("%s: user %d, %v; want %d", addr, uid, err, os.Geteuid())
		}
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := owner.Of(a); !errors.Is(err, owner.ErrUnknown) {
		t.Errorf("a pipe: %v", err)
	}
}

// Whoever sends and closes at once is nobody: the kernel shows user 0, which is root, for
// a socket that no process holds any more.
func TestOfClosed(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err)
			continue
		}
		defer ln.Close()
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write([]byte("produce")); err != nil {
			t.Fatal(err)
		}
		if err := client.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if uid, err := owner.Of(server); err != nil || uid != os.Geteuid() {
			t.Errorf("%s: while it is held, user %d, %v", addr, uid, err)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(server); string(b) != "produce" || err != nil {
			t.Errorf("%s: %q, %v", addr, b, err)
		}
		if uid, err := owner.Of(server); !errors.Is(err, owner.ErrUnknown) {
			t.Errorf("%s: once it is closed, user %d, %v", addr, uid, err)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	for b.Loop() {
		if _, err := owner.Of(server); err != nil {
			b.Fatal(err)
		}
	}
}

// TestListen fills the places and gives one back.
func TestListen(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := owner.Listen(inner, owner.Config{Own: 2})
	defer ln.Close()
	accepted := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dial()
	first := <-accepted
	dial()
	second := <-accepted
	defer second.Close()
	if n, err := dial().Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("a third connection: %d, %v", n, err)
	}
	_, _ = first.Close(), first.Close() // twice gives back one place
	dial()
	third := <-accepted
	defer third.Close()
	if n, err := dial().Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("a connection too many: %d, %v", n, err)
	}
}
