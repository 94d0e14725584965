package kumomta

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
)

// node is a KumoMTA node as far as its suspensions go (crates/kumod, admin_suspend_v1; the
// types are in kumo-api-types): a list in memory, entries with the same criteria replace one
// another, expiry by a clock after 300 s where no duration is given, ids are UUIDs, all of it
// is lost at a restart, and an entry without criteria matches everything.
type node struct {
	mu      sync.Mutex
	entries []held
	n       int
	down    bool
	deaf    bool // it does as it is told, and its answer is lost
	posts   int
	open    int // requests that would have suspended more than a tenant
}

type held struct {
	entry
	ends time.Time
}

func (n *node) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	if r.URL.Path != "/api/admin/suspend/v1" {
		w.WriteHeader(http.StatusNotFound)
		return w.Result(), nil
	}
	if r.Method != http.MethodGet && r.Header.Get("Content-Type") != "application/json" {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return w.Result(), nil
	}
	n.entries = slices.DeleteFunc(n.entries, func(h held) bool { return !h.ends.After(time.Now()) })
	switch r.Method {
	case http.MethodGet:
		out := []entry{}
		for _, h := range n.entries {
			left := time.Until(h.ends)
			h.Duration = fmt.Sprintf("%dm %ds %dms", left/time.Minute, left%time.Minute/time.Second, left%time.Second/time.Millisecond)
			out = append(out, h.entry)
		}
		_ = json.MarshalWrite(w, out)
	case http.MethodPost:
		var q struct {
			Reason                   string
			Tenant, Campaign, Domain *string
			Duration                 *string
		}
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &q, json.MatchCaseInsensitiveNames(true)); err != nil || q.Reason == "" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			break
		}
		n.posts++
		if q.Tenant == nil || *q.Tenant == "" {
			n.open++
		}
		d := 300 * time.Second
		if q.Duration != nil {
			d = lasts(*q.Duration)
		}
		_, _ = fmt.Fprintf(w, `{"id":%q}`, n.add(q.Reason, q.Tenant, d))
	case http.MethodDelete:
		var q struct{ ID string }
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &q, json.MatchCaseInsensitiveNames(true)); err != nil || len(q.ID) != 36 {
			w.WriteHeader(http.StatusUnprocessableEntity)
			break
		}
		before := len(n.entries)
		n.entries = slices.DeleteFunc(n.entries, func(h held) bool { return h.ID == q.ID })
		if len(n.entries) == before {
			w.WriteHeader(http.StatusNotFound)
		}
	}
	if n.deaf {
		return nil, io.ErrUnexpectedEOF
	}
	return w.Result(), nil
}

func (n *node) add(reason string, tenant *string, d time.Duration) (id string) {
	n.n++
	id = fmt.Sprintf("00000000-0000-4000-8000-%012d", n.n)
	same := func(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
	n.entries = slices.DeleteFunc(n.entries, func(h held) bool {
		return same(h.Tenant, tenant) && h.Campaign == nil && h.Domain == nil
	})
	n.entries = append(n.entries, held{entry{ID: id, Tenant: tenant, Reason: reason}, time.Now().Add(d)})
	return id
}

// restart forgets everything.
func (n *node) restart() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.entries = nil
}

func (n *node) set(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

// stops reports whether mail of a tenant is held.
func (n *node) stops(tenant string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.entries, func(h held) bool {
		return h.ends.After(time.Now()) && (h.Tenant == nil || *h.Tenant == tenant)
	})
}

// standing is what is wanted.
type standing struct {
	mu   sync.Mutex
	now  []string
	ok   bool
	wake chan struct{}
}

func (s *standing) Suspended() ([]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.now), s.ok
}

func (s *standing) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wake
}

func (s *standing) set(ok bool, accounts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.ok = accounts, ok
	close(s.wake)
	s.wake = make(chan struct{})
}

func run(t *testing.T, n *node) (s *standing, end func()) {
	t.Helper()
	s = &standing{wake: make(chan struct{})}
	cfg := DefaultConfig()
	cfg.URL = "http://127.0.0.1:8000"
	r, err := New(cfg, Deps{Wanted: s, Transport: n})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx)
	}()
	return s, func() {
		cancel()
		<-done
	}
}

// A suspension lasts for as long as it is wanted, whatever the node forgets.
func TestASuspensionOutlivesItsDurationAndARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{}
		s, end := run(t, n)
		defer end()
		s.set(true, "acct-1")
		synctest.Wait()
		if !n.stops("acct-1") || n.stops("acct-2") {
			t.Fatal("the change did not arrive at once, or hit another tenant")
		}
		for range 60 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if !n.stops("acct-1") {
				t.Fatal("the suspension ran out")
			}
		}
		if n.posts > 60 {
			t.Errorf("%d renewals in an hour", n.posts)
		}
		n.restart()
		time.Sleep(DefaultConfig().Duration / 6)
		synctest.Wait()
		if !n.stops("acct-1") {
			t.Error("after a restart of the node the suspension is not there")
		}
		s.set(true)
		synctest.Wait()
		if n.stops("acct-1") {
			t.Error("the release did not arrive")
		}
	})
}

func TestANodeThatWasAwayGetsWhatItLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{down: true}
		s, end := run(t, n)
		defer end()
		s.set(true, "acct-1")
		time.Sleep(10 * time.Minute)
		n.set(false)
		time.Sleep(retryEvery)
		synctest.Wait()
		if !n.stops("acct-1") {
			t.Error("it is not suspended two seconds after the node is back")
		}
	})
}

// Suspensions are wanted and released at random while the node restarts, goes away and loses
// answers: once it has been there for a while it holds what is wanted and nothing else, and no
// request was ever for more than a tenant.
func TestANodeHoldsWhatIsWantedWhateverHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(5, 1))
		n := &node{}
		s, end := run(t, n)
		defer end()
		for range 200 {
			var wanted []string
			for i := range 8 {
				if rnd.IntN(3) == 0 {
					wanted = append(wanted, fmt.Sprintf("acct-%d", i))
				}
			}
			if rnd.IntN(4) == 0 {
				wanted = append(wanted, "")
			}
			s.set(true, wanted...)
			n.mu.Lock()
			n.down, n.deaf = rnd.IntN(5) == 0, rnd.IntN(5) == 0
			n.mu.Unlock()
			if rnd.IntN(3) == 0 {
				n.restart()
			}
			time.Sleep(time.Duration(rnd.IntN(400)) * time.Second)
			n.mu.Lock()
			n.down, n.deaf = false, false
			n.mu.Unlock()
			time.Sleep(DefaultConfig().Duration / 6)
			synctest.Wait()
			for i := range 8 {
				account := fmt.Sprintf("acct-%d", i)
				if n.stops(account) != slices.Contains(wanted, account) {
					t.Fatalf("%s is stopped: %v", account, n.stops(account))
				}
			}
		}
		if n.open != 0 {
			t.Errorf("%d requests were for everybody", n.open)
		}
	})
}

func TestNothingIsTouchedThatIsNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{}
		theirs := "acct-1"
		n.add("deliverability: talk to Ann", &theirs, time.Hour)
		s, end := run(t, n)
		defer end()
		s.set(true, "acct-1", "")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		n.mu.Lock()
		if len(n.entries) != 1 || !strings.HasPrefix(n.entries[0].Reason, "deliverability") {
			t.Errorf("another's suspension was replaced, or one without a tenant made: %+v", n.entries)
		}
		n.mu.Unlock()
		s.set(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !n.stops("acct-1") {
			t.Error("our release ended another's suspension")
		}
	})
}

// Until the topic was read, nothing is known, which is not the same as nobody.
func TestNothingIsLiftedBeforeTheTopicIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{}
		before := "acct-1"
		n.add(mark+"the account is suspended", &before, time.Hour)
		s, end := run(t, n)
		defer end()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !n.stops("acct-1") {
			t.Fatal("it was lifted before anything was known")
		}
		s.set(true)
		synctest.Wait()
		if n.stops("acct-1") {
			t.Error("it was not lifted")
		}
	})
}

func TestDurations(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"4m 59s 120ms": 4*time.Minute + 59*time.Second + 120*time.Millisecond, "5m": 5 * time.Minute, "300s": 5 * time.Minute, "1h 2m": 62 * time.Minute,
		"1day 2h": 26 * time.Hour, "": 0, "soon": 0, "5 parsecs": 0, "99999999999999999999s": 0,
	} {
		if got := lasts(s); got != want {
			t.Errorf("%q: %s, not %s", s, got, want)
		}
	}
}

func FuzzLasts(f *testing.F) {
	f.Add("4m 59s")
	f.Fuzz(func(t *testing.T, s string) {
		if d := lasts(s); d < 0 || d > longest {
			t.Errorf("%q is %s", s, lasts(s))
		}
	})
}

func TestAnotherMachineIsRefusedWithoutTLS(t *testing.T) {
	cfg := DefaultConfig()
	for url, ok := range map[string]bool{"http://127.0.0.1:8000": true, "http://kumo-1:8000": false, "https://kumo-1:8000": true, "kumo-1": false} {
		cfg.URL = url
		if err := cfg.Validate(); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
}
