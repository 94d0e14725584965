package record

import (
	"log/slog"
	"sync"
	"time"
)

// trouble reports what is tried again and again, over all partitions together: the
// first failure of a spell, then once a minute how many there were, and its end.
type trouble struct {
	log   *slog.Logger
	ended func(what string) // optional; called when a spell is over

	mu     sync.Mutex
	spells map[string]*spell // by what is tried: a few words of this package
}

// spell is the time in which something fails.
type spell struct {
	began, told time.Time
	failed      int
	waiting     int // attempts that have failed and are not over
}

// troubleEvery is the time between two lines about the same trouble.
const troubleEvery = time.Minute

func newTrouble(log *slog.Logger) *trouble { return &trouble{log: log, spells: map[string]*spell{}} }

// attempt follows one thing that is tried until it succeeds or it is no use to go on.
type attempt struct {
	t       *trouble
	what    string
	failing bool
}

func (t *trouble) attempt(what string) *attempt { return &attempt{t: t, what: what} }

// failed notes a failure; a few facts for the log may stand beside it.
func (a *attempt) failed(err error, facts ...any) {
	t := a.t
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.spells[a.what]
	if s == nil {
		s = &spell{began: time.Now()}
		t.spells[a.what] = s
	}
	s.failed++
	if !a.failing {
		a.failing = true
		s.waiting++
	}
	switch now := time.Now(); {
	case s.told.IsZero():
		t.log.Warn(a.what+" failed; it is tried again until it succeeds", append(facts, "error", err)...)
		s.told = now
	case now.Sub(s.told) >= troubleEvery:
		t.log.Warn(a.what+" still fails", append(facts, "failures", s.failed, "for", now.Sub(s.began).Round(time.Second), "waiting", s.waiting, "error", err)...)
		s.told = now
	}
}

// over is called when the attempt has succeeded or was given up.
func (a *attempt) over() {
	if !a.failing {
		return
	}
	a.failing = false
	t := a.t
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.spells[a.what]
	if s.waiting--; s.waiting > 0 {
		return
	}
	delete(t.spells, a.what)
	if t.ended != nil {
		t.ended(a.what)
	}
	t.log.Info(a.what+" fails no more", "failures", s.failed, "for", time.Since(s.began).Round(time.Millisecond))
}
