package broker_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
	"github.com/twmb/franz-go/pkg/kmsg"

	"holdfast/ingest/embedded/broker"
)

const password = "a password of 32 bytes, as ours are"

func scramAs(t *testing.T, user, password string) sasl.Mechanism {
	t.Helper()
	m, err := scram.Mechanism(scram.SHA256, user, password)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// produceAs writes one record, as a client with that login, and returns the error.
func produceAs(t *testing.T, addr string, m sasl.Mechanism) error {
	t.Helper()
	transport := &kafka.Transport{SASL: m}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(addr), Timeout: 10 * time.Second, Transport: transport}
	if _, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: "inbox", NumPartitions: 1, ReplicationFactor: 1}}}); err != nil {
		return err
	}
	_, err := client.Produce(t.Context(), &kafka.ProduceRequest{Topic: "inbox", RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("by alice"))})})
	return err
}

// TestLogin checks who gets in: on 76a1c02 the inbox took a record from anybody.
func TestLogin(t *testing.T) {
	dir := t.TempDir()
	old, stop := start(t, broker.Config{Dir: dir}) // a folder that knows no passwords
	if err := produceAs(t, old.Addr(), nil); err != nil {
		t.Fatal(err)
	}
	stop()
	b, stop := start(t, broker.Config{Dir: dir, Password: password})
	for name, m := range map[string]sasl.Mechanism{
		"nobody": nil, "a wrong password": scramAs(t, "holdfast", password+"x"), "another user": scramAs(t, "admin", "admin"), "an empty password": scramAs(t, "holdfast", ""),
		"plain": plain.Mechanism{Username: "holdfast", Password: password},
	} {
		if err := produceAs(t, b.Addr(), m); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
	if err := produceAs(t, b.Addr(), scramAs(t, "holdfast", password)); err != nil {
		t.Errorf("the right password: %v", err)
	}
	stop()
	b, _ = start(t, broker.Config{Dir: dir, Password: "another password"})
	if err := produceAs(t, b.Addr(), scramAs(t, "holdfast", password)); err == nil {
		t.Error("an old password was let in")
	}
	if err := produceAs(t, b.Addr(), scramAs(t, "holdfast", "another password")); err != nil {
		t.Errorf("a new password: %v", err)
	}
}

// dialAs connects as another user: sockets belong to who the thread that makes them is.
func dialAs(uid int) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (c net.Conn, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
				err = errno
				return
			}
			c, err = new(net.Dialer).DialContext(ctx, network, address)
		}()
		<-done
		return c, err
	}
}

// TestPeers checks that this user and root need no login where that is said, and that others
// do: by whatever they begin with.
func TestPeers(t *testing.T) {
	b, _ := start(t, broker.Config{Dir: t.TempDir(), Password: password, Peers: true})
	if err := produceAs(t, b.Addr(), nil); err != nil {
		t.Errorf("this user without a login: %v", err)
	}
	if err := produceAs(t, b.Addr(), scramAs(t, "holdfast", password)); err != nil {
		t.Errorf("this user with a login: %v", err)
	}
	if err := produceAs(t, b.Addr(), scramAs(t, "holdfast", "wrong")); err == nil {
		t.Error("this user with a wrong login was let in")
	}
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	nobody := func(m sasl.Mechanism) error {
		transport := &kafka.Transport{SASL: m, Dial: dialAs(65534)}
		defer transport.CloseIdleConnections()
		client := &kafka.Client{Addr: kafka.TCP(b.Addr()), Timeout: 5 * time.Second, Transport: transport}
		_, err := client.Metadata(t.Context(), &kafka.MetadataRequest{})
		return err
	}
	for name, m := range map[string]sasl.Mechanism{"nothing": nil, "a guess": scramAs(t, "holdfast", "wrong"), "the peers' name": plain.Mechanism{Username: "peer"}, "a name that nobody has": plain.Mechanism{Username: "x"}} {
		if err := nobody(m); err == nil {
			t.Errorf("another user was let in by %s", name)
		}
	}
	if err := nobody(scramAs(t, "holdfast", password)); err != nil {
		t.Errorf("another user who knows the password: %v", err)
	}
}

// TestFrames sends what no client sends. The broker must stay, and give no memory.
func TestFrames(t *testing.T) {
	b, _ := start(t, broker.Config{Dir: t.TempDir(), Password: password})
	frame := func(size uint32, key, version int16, body ...byte) []byte {
		out := binary.BigEndian.AppendUint32(nil, size)
		out = binary.BigEndian.AppendUint16(out, uint16(key))
		return append(binary.BigEndian.AppendUint16(out, uint16(version)), body...)
	}
	for name, bytes := range map[string][]byte{
		"4 GiB": frame(1<<32-1, 18, 0), "an unknown key": frame(64, 9999, 0), "a negative key": frame(64, -1, 0), "nothing": frame(0, 18, 0), "a short one": frame(7, 18, 0),
		"a fetch before the login": frame(64, 1, 11), "a large one before the login": frame(1<<20, 18, 0), "a large password": frame(1<<20, 36, 1), "text": []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
	} {
		c, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = c.Write(bytes)
		if n, err := c.Read(make([]byte, 64)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: answered with %d bytes, %v", name, n, err)
		}
		_ = c.Close()
	}
	if err := produceAs(t, b.Addr(), scramAs(t, "holdfast", password)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// FuzzLogin sends random bytes behind the beginnings of a login.
func FuzzLogin(f *testing.F) {
	b := broker.New(broker.Config{Dir: f.TempDir(), Password: password})
	if err := b.Start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = b.Close() })
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Mechanism, handshake.Version = broker.Mechanism, 1
	f.Add([]byte("n,,n=holdfast,r=abc"), int16(1))
	f.Add([]byte("n,,n=,r="), int16(2))
	f.Add([]byte(""), int16(0))
	f.Fuzz(func(t *testing.T, bytes []byte, version int16) {
		c, err := dialed(b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		format := kmsg.NewRequestFormatter()
		auth := kmsg.NewPtrSASLAuthenticateRequest()
		auth.SASLAuthBytes = bytes
		auth.SetVersion(min(max(version, 0), 2))
		_, _ = c.Write(format.AppendRequest(nil, handshake, 1))
		_, _ = c.Write(format.AppendRequest(nil, auth, 2))
		_, _ = io.ReadAll(io.LimitReader(c, 18))
		if !alive(b.Addr()) {
			t.Fatal("the broker is gone")
		}
	})
}

// dialed is a connection whose end leaves nothing behind in the kernel: the broker looks
// each new one up among all that there are, and thousands that wait to be forgotten make
// that slow.
func dialed(addr string) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return c, c.(*net.TCPConn).SetLinger(0)
}

func alive(addr string) bool {
	c, err := dialed(addr)
	if err != nil {
		return false
	}
	return c.Close() == nil
}
