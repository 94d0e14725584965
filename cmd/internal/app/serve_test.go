package app

import (
	"context"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestListenEndsWithRequestsUnderWay: a request that waits for a broker that is away is cut
// off when the process is told to end, and the process ends well.
func TestListenEndsWithRequestsUnderWay(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	begun, cut := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(cut)
	})
	g, ctx := errgroup.WithContext(ctx)
	addr, err := listen(ctx, g, "127.0.0.1:0", h, "", "", 4)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		res, err := http.Get("http://" + addr)
		if err == nil {
			err = res.Body.Close()
		}
		answered <- err
	}()
	<-begun
	begin := time.Now()
	stop()
	if err := g.Wait(); err != nil {
		t.Fatalf("a process that was told to end ended with %v", err)
	}
	if took := time.Since(begin); took < requestGrace {
		t.Errorf("the request had %v to finish, want %v", took, requestGrace)
	}
	<-cut
	if err := <-answered; err == nil {
		t.Error("a request that was cut off was answered")
	}
}
