package edge

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/schemas"
)

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cpu is what this process has used, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// lived is an edge that knows a hundred thousand accounts, every tenth suspended.
func lived(b *testing.B) *Edge {
	b.Helper()
	e, _ := running(b, newTopic(), Default())
	now := time.Now()
	for i := range 100_000 {
		status := "active"
		if i%10 == 0 {
			status = "suspended"
		}
		e.table.Put(fmt.Sprintf("account:acct-%06d", i), Standing{Status: status, Since: now, Episode: 1, Step: 1}, now)
	}
	until(b, "reading", e.Ready)
	return e
}

func BenchmarkLookup(b *testing.B) {
	e := lived(b)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		a := e.Lookup(schemas.Entity{Kind: schemas.KindAccount, ID: "acct-000010"})
		buf = a.appendJSON(buf[:0])
	}
}

// asked drives a server by one kept connection, sixteen questions under way, and reports the
// lookups for each second of CPU of server and client together.
func asked(b *testing.B, addr string, question func(i int) string, answer func(*bufio.Reader) error) {
	b.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	const ahead = 16
	out, in := bufio.NewWriterSize(c, 32<<10), bufio.NewReaderSize(c, 32<<10)
	var questions [1024]string
	for i := range questions {
		questions[i] = question(i * 97)
	}
	began, n := cpu(), 0
	for b.Loop() {
		for range ahead {
			_, _ = out.WriteString(questions[n%len(questions)])
			n++
		}
		if err := out.Flush(); err != nil {
			b.Fatal(err)
		}
		for range ahead {
			if err := answer(in); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(n)/(cpu()-began), "lookups/cpu-s")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lookups/s")
}

func BenchmarkHTTP(b *testing.B) {
	e := lived(b)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: e.Handler()}
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	defer func() {
		_ = s.Close()
		<-done
	}()
	asked(b, l.Addr().String(), func(i int) string {
		return fmt.Sprintf("GET /v1/status/account:acct-%06d HTTP/1.1\r\nHost: edge\r\n\r\n", i%100_000)
	}, func(in *bufio.Reader) error {
		length := 0
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return err
			}
			if v, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
				_, _ = fmt.Sscan(v, &length)
			}
			if len(line) == 2 {
				_, err := in.Discard(length)
				return err
			}
		}
	})
}

func BenchmarkPostfix(b *testing.B) {
	e := lived(b)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- e.ServePostfix(ctx, l) }()
	defer func() {
		cancel()
		<-done
	}()
	asked(b, l.Addr().String(), func(i int) string {
		return fmt.Sprintf("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=192.0.2.1\nclient_name=unknown\nhelo_name=x\n"+
			"sender=a@example.org\nrecipient=b@example.org\nrecipient_count=0\nqueue_id=\ninstance=1.2.3\nsize=0\nsasl_method=plain\nsasl_username=acct-%06d\n\n", i%100_000)
	}, func(in *bufio.Reader) error {
		for range 2 {
			if _, err := in.ReadSlice('\n'); err != nil {
				return err
			}
		}
		return nil
	})
}

// Ten million entities fit into memory: see the metric bytes/entity.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		before, e, now := heap(), NewTable(), time.Now()
		for i := range n {
			key := fmt.Sprintf("account:acct-%08d", i)
			e.Put(key, Standing{Status: "suspended", Since: now, Episode: i % 9, Step: 1, Reason: "mail went out from a place that is new"}, now)
			if i%10 > 0 {
				e.Put(key, Standing{Status: "active", Since: now, Episode: i % 9, Step: 2}, now)
			}
		}
		b.ReportMetric(float64(heap()-before)/n, "bytes/entity")
		if e.Len() != n {
			b.Fatal(e.Len())
		}
	}
}
