// Package kumomta keeps one KumoMTA node's suspensions as the status topic says. A node keeps
// them in one process's memory, for a duration, and forgets them when it restarts; it tells
// other nodes nothing. So a Reconciler, one for each node, lists what the node has, adds what
// is missing, renews what is about to end and takes away what is released.
//
// It promises that no request goes out without a tenant, since one without matches everything;
// that suspensions which others made stay as they are; that a node which is away gets what it
// lacks as soon as it is back; and that nothing is taken away before the status topic was once
// read to its end.
//
// A suspension stops delivery and not injection: refuse mail at injection too, by asking the
// edge (deploy/docs/edge.md).
package kumomta

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Wanted tells which accounts are suspended. *edge.Edge is one.
type Wanted interface {
	// Suspended returns the accounts that must not send; ok is false until that is known.
	Suspended() (accounts []string, ok bool)
	// Changed is closed at the next change.
	Changed() <-chan struct{}
}

// mark begins the reason of every suspension that is ours.
const mark = "holdfast: "

// Reconciler keeps one node's suspensions.
type Reconciler struct {
	cfg     Config
	wanted  Wanted
	client  *http.Client
	log     *slog.Logger
	metrics *Metrics
	away    bool
}

// Deps are a Reconciler's surroundings; all but Wanted may be nil.
type Deps struct {
	Wanted    Wanted
	Transport http.RoundTripper
	Logger    *slog.Logger
	Metrics   *Metrics
}

// New returns a reconciler that does nothing until Run.
func New(cfg Config, deps Deps) (*Reconciler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Reconciler{cfg: cfg, wanted: deps.Wanted, log: deps.Logger, metrics: deps.Metrics, client: &http.Client{
		Timeout: cfg.Timeout, Transport: deps.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.cfg.URL = strings.TrimRight(cfg.URL, "/") + "/api/admin/suspend/v1"
	return r, nil
}

// retryEvery is how soon a node that is away is looked for again.
const retryEvery = 2 * time.Second

// Run reconciles at every change and at a sixth of the duration, until ctx ends.
func (r *Reconciler) Run(ctx context.Context) error {
	for {
		changed := r.wanted.Changed()
		pause := r.cfg.Duration / 6
		if err := r.reconcile(ctx); err != nil && ctx.Err() == nil {
			r.metrics.failed()
			pause = min(pause, retryEvery)
			if !r.away {
				r.log.Warn("a KumoMTA node does not take its suspensions; it is tried again", "error", err)
			}
			r.away = true
			changed = nil // nothing can be told before it is back
		} else if r.away && err == nil {
			r.log.Info("the KumoMTA node takes its suspensions again")
			r.away = false
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-changed:
			t.Stop()
		case <-t.C:
		}
	}
}

// entry is one suspension as a node lists it.
type entry struct {
	ID       string  `json:"id"`
	Campaign *string `json:"campaign"`
	Tenant   *string `json:"tenant"`
	Domain   *string `json:"domain"`
	Reason   string  `json:"reason"`
	Duration string  `json:"duration"` // how long it still lasts, as "4m 59s 120ms"
}

// whole reports whether the entry is of a tenant and nothing less.
func (e *entry) whole() bool { return e.Tenant != nil && e.Campaign == nil && e.Domain == nil }

func (e *entry) ours() bool { return e.whole() && strings.HasPrefix(e.Reason, mark) }

// reconcile makes the node's suspensions those that are wanted.
func (r *Reconciler) reconcile(ctx context.Context) error {
	accounts, ok := r.wanted.Suspended()
	if !ok {
		return nil
	}
	var has []entry
	if err := r.call(ctx, http.MethodGet, nil, &has); err != nil {
		return err
	}
	standing := map[string]*entry{}
	for i := range has {
		if e := &has[i]; e.whole() && (standing[*e.Tenant] == nil || e.ours()) {
			standing[*e.Tenant] = e
		}
	}
	wanted := map[string]bool{}
	for _, account := range accounts {
		tenant := r.cfg.Prefix + account
		if account == "" {
			continue // never a request that matches everything
		}
		wanted[tenant] = true
		// Another's suspension of the tenant would be replaced by ours: while it lasts it does.
		if e := standing[tenant]; e != nil && lasts(e.Duration) > r.cfg.Duration*2/3 {
			continue
		}
		if err := r.suspend(ctx, tenant); err != nil {
			return err
		}
	}
	for i := range has {
		if e := &has[i]; e.ours() && !wanted[*e.Tenant] {
			if err := r.lift(ctx, e); err != nil {
				return err
			}
		}
	}
	r.metrics.reconciled(len(wanted))
	return nil
}

func (r *Reconciler) suspend(ctx context.Context, tenant string) error {
	if tenant == "" {
		return nil
	}
	err := r.call(ctx, http.MethodPost, map[string]string{
		"tenant": tenant, "reason": mark + "the account is suspended", "duration": fmt.Sprintf("%ds", int(r.cfg.Duration/time.Second)),
	}, nil)
	if err == nil {
		r.metrics.did("suspend")
	}
	return err
}

func (r *Reconciler) lift(ctx context.Context, e *entry) error {
	err := r.call(ctx, http.MethodDelete, map[string]string{"id": e.ID}, nil)
	if err == nil {
		r.metrics.did("lift")
	}
	return err
}

// maxAnswer bounds the node's list: some 200,000 entries.
const maxAnswer = 64 << 20

// call speaks to the node. A suspension that is gone already is taken away.
func (r *Reconciler) call(ctx context.Context, method string, send, receive any) error {
	var body io.Reader
	if send != nil {
		b, err := json.Marshal(send, json.Deterministic(true))
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.cfg.URL, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return err
	case method == http.MethodDelete && resp.StatusCode == http.StatusNotFound:
		return nil
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %s: %.200q: is this machine in the node's trusted_hosts?", method, r.cfg.URL, resp.Status, text)
	case receive == nil:
		return nil
	}
	if err := json.Unmarshal(text, receive); err != nil {
		return fmt.Errorf("%s %s: the answer is not understood: %w", method, r.cfg.URL, err)
	}
	return nil
}

// longest is more than any suspension lasts.
const longest = 10_000 * time.Hour

// lasts reads a duration as KumoMTA writes it: numbers with units (days, h, m, s, ms, us, ns),
// with or without blanks between. What is not understood lasts no longer.
func lasts(s string) (d time.Duration) {
	units := map[string]time.Duration{
		"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour, "h": time.Hour, "hour": time.Hour, "hours": time.Hour,
		"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
		"s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
		"ms": time.Millisecond, "us": time.Microsecond, "µs": time.Microsecond, "ns": time.Nanosecond,
	}
	s = strings.ReplaceAll(s, " ", "")
	for s != "" {
		digits := strings.TrimLeft(s, "0123456789")
		var n int64
		if _, err := fmt.Sscan(s[:len(s)-len(digits)], &n); err != nil || n > int64(longest/time.Second) {
			return 0
		}
		rest := strings.TrimLeft(digits, "abcdefghijklmnopqrstuvwxyzµ")
		unit, ok := units[digits[:len(digits)-len(rest)]]
		if !ok {
			return 0
		}
		if d += time.Duration(n) * unit; d < 0 || d > longest {
			return longest
		}
		s = rest
	}
	return d
}
