package pressure

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Resource is what can be short.
type Resource string

// The resources, those first that a log depends on most.
const (
	Disk   Resource = "disk"
	Memory Resource = "memory"
	Files  Resource = "files"
)

// Shortage is one resource of which too little is left.
type Shortage struct {
	Resource Resource
	Left     int64 // bytes, or files
	Floor    int64
	Where    string // the folder on the file system that is full
}

func (s Shortage) String() string {
	switch s.Resource {
	case Disk:
		return fmt.Sprintf("disk: %d MiB are left on the file system of %s, intake takes nothing below %d MiB: make room", s.Left/mib, s.Where, s.Floor/mib)
	case Memory:
		return fmt.Sprintf("memory: %d MiB are left, intake takes nothing below %d MiB", s.Left/mib, s.Floor/mib)
	}
	return fmt.Sprintf("files: %d more can be opened, intake takes nothing below %d: raise ulimit -n", s.Left, s.Floor)
}

// Watcher looks at the machine. It is safe for concurrent use.
type Watcher struct {
	cfg  Config
	deps Deps
	left *prometheus.GaugeVec
	few  *prometheus.GaugeVec
	take []measure

	mu    sync.Mutex
	short map[Resource]Shortage
	ended chan struct{} // closed when nothing is short any more
}

type measure struct {
	of    Resource
	take  func() (amount, error)
	floor func(all int64) int64
}

// New looks once, so that Short tells the truth from the beginning, and again while
// Run runs.
func New(cfg Config, deps Deps) *Watcher {
	if cfg.Every <= 0 {
		cfg.Every = 250 * time.Millisecond
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{
		cfg: cfg, deps: deps, short: map[Resource]Shortage{}, ended: make(chan struct{}),
		left: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "pressure", Name: "left",
			Help: "What is left of a resource: bytes of disk and memory, files that may be opened."}, []string{"resource"}),
		few: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "pressure", Name: "short",
			Help: "1 while too little of a resource is left and intake takes nothing."}, []string{"resource"}),
	}
	close(w.ended)
	if deps.Metrics != nil {
		deps.Metrics.MustRegister(w.left, w.few)
	}
	if cfg.Dir != "" {
		w.take = append(w.take, measure{Disk, func() (amount, error) { return disk(cfg.Dir) }, func(all int64) int64 { return floorOr(cfg.DiskFree, all, diskFloor) }})
	}
	w.take = append(w.take,
		measure{Memory, memory, func(all int64) int64 { return floorOr(cfg.MemoryFree, all, memoryFloor) }},
		measure{Files, files, func(all int64) int64 { return floorOr(int64(cfg.FilesFree), all, filesFloor) }})
	w.look()
	return w
}

// Run looks at the machine until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	t := time.NewTicker(w.cfg.Every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			w.look()
		}
	}
}

func (w *Watcher) look() {
	for _, m := range w.take {
		a, err := m.take()
		if err != nil {
			continue // what cannot be measured is not short: no sender is refused for it
		}
		w.left.WithLabelValues(string(m.of)).Set(float64(a.left))
		w.set(Shortage{Resource: m.of, Left: a.left, Floor: m.floor(a.all), Where: w.cfg.Dir})
	}
}

// set notes what is left of one resource.
func (w *Watcher) set(s Shortage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, before := w.short[s.Resource]
	now := s.Left < s.Floor || before && s.Left < s.Floor+s.Floor/4
	w.few.WithLabelValues(string(s.Resource)).Set(map[bool]float64{true: 1}[now])
	switch {
	case now:
		if len(w.short) == 0 {
			w.ended = make(chan struct{})
		}
		w.short[s.Resource] = s
		if !before {
			w.deps.Logger.Error("too little is left; intake takes nothing until there is more", "resource", s.Resource, "left", s.Left, "floor", s.Floor, "detail", s.String())
		}
	case before:
		delete(w.short, s.Resource)
		if len(w.short) == 0 {
			close(w.ended)
		}
		w.deps.Logger.Info("enough is left again", "resource", s.Resource, "left", s.Left, "floor", s.Floor)
	}
}

// Short lists what is short, the worst first.
func (w *Watcher) Short() []Shortage {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Shortage
	for _, m := range w.take {
		if s, ok := w.short[m.of]; ok {
			out = append(out, s)
		}
	}
	return out
}

// Wait returns when nothing is short, or with ctx's error.
func (w *Watcher) Wait(ctx context.Context) error {
	w.mu.Lock()
	ended := w.ended
	w.mu.Unlock()
	select {
	case <-ended:
		return nil
	default:
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
