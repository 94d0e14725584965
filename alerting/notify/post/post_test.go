package post_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"holdfast/alerting/notify/post"
)

// No call shares its connection with another: a receiver that answers twice would otherwise
// confirm what it was never told.
func TestEachCallHasItsConnection(t *testing.T) {
	var mu sync.Mutex
	peers := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if peers[r.RemoteAddr] {
			t.Errorf("the connection from %s is used again", r.RemoteAddr)
		}
		peers[r.RemoteAddr] = true
	}))
	defer server.Close()
	p := &post.Poster{Name: "x", URL: server.URL, Client: post.Client(time.Minute, nil)}
	for range 5 {
		if _, err := p.JSON(t.Context(), map[string]string{"a": "b"}); err != nil {
			t.Fatal(err)
		}
	}
	if mu.Lock(); len(peers) != 5 {
		t.Errorf("%d connections for five calls", len(peers))
	}
	mu.Unlock()
}
