package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// pace reads a body that must come on: after a while of grace, at MinRate bytes a
// second of the time that is spent waiting for it. Time in which we are busy with what
// came is not the sender's.
type pace struct {
	body     io.Reader
	conn     *http.ResponseController
	now      func() time.Time
	end      time.Time // of the whole request
	grace    time.Duration
	rate     int64 // bytes a second
	received int64
	waited   time.Duration
}

// errSlow says that a body came too slowly.
var errSlow = errors.New("the body comes too slowly")

func (p *pace) Read(b []byte) (int, error) {
	begin := p.now()
	left := p.grace + time.Duration(float64(p.received)/float64(p.rate)*float64(time.Second)) - p.waited
	until := begin.Add(max(left, 0))
	if p.end.Before(until) {
		until = p.end
	}
	// Not every ResponseWriter has deadlines; the context bounds the rest.
	_ = p.conn.SetReadDeadline(until)
	n, err := p.body.Read(b)
	// Behind the body the server listens whether the sender leaves, which is no time
	// that the sender owes us: only the request's end is left. A body that failed is
	// not waited for any more.
	if err == nil || errors.Is(err, io.EOF) {
		_ = p.conn.SetReadDeadline(p.end)
	}
	p.waited += p.now().Sub(begin)
	p.received += int64(n)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSlow
	}
	return n, err
}
