package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"holdfast/ingest/adapters/sshd"
	"holdfast/ingest/intake"
	"holdfast/schemas"
)

const (
	// ahead is how many blocks may be read, and unsent beside unacknowledged:
	// with those being worked on, at most 2·ahead+3 blocks of 2 MiB.
	ahead = 4
	// reach is in how many blocks a run that goes on has met with all that the
	// earlier one had sent: twice what that had in hand, for the cuts may differ.
	reach = 2 * (2*ahead + 3)
	// grace is how long acknowledgements are waited for after an interruption.
	grace = 5 * time.Second
)

// Run imports the files one after the other. When ctx ends it stops reading,
// waits a little for what was sent, and returns ctx's error; the summary says
// what was done.
func Run(ctx context.Context, cfg Config, deps Deps) (sum Summary, err error) {
	if err := cfg.Validate(); err != nil {
		return sum, err
	}
	if cfg.Format == "" {
		cfg.Format = NDJSON
	}
	if cfg.Topic == "" {
		cfg.Topic = "holdfast." + string(schemas.TopicEvents)
	}
	deps.setDefaults()
	began := time.Now()
	book, err := openLedger(cfg.Progress, cfg.Format)
	if err != nil {
		return sum, err
	}
	files := cfg.Files
	if cfg.Format == SSHD {
		files = rotated(files)
	}
	var clocks *lives
	if deps.Past != nil && !cfg.Live {
		clocks = newLives(deps.Past, book.begun(began))
		defer func() { sum.Untaught = clocks.found }()
	}
	var sent []uint64
	if deps.Sent != nil {
		if sent, err = deps.Sent(ctx, cfg.source().Name, book.begun(began)); err != nil {
			deps.Logger.Warn("repeated events are not counted", "error", err)
		}
	}
	var before *file
	for i, name := range files {
		f := &file{cfg: &cfg, deps: &deps, src: cfg.source(), book: book, name: name, index: i, after: before, lives: clocks, known: sent, pace: pacer{rate: cfg.Rate}, checker: intake.Checker{Networks: deps.Networks}}
		before = f
		err = f.run(ctx, &sum)
		sum.Elapsed = time.Since(began)
		if err != nil {
			return sum, err
		}
	}
	return sum, book.finish()
}

// file is one file on its way in.
type file struct {
	cfg   *Config
	deps  *Deps
	src   *intake.Source
	book  *ledger
	name  string
	index int
	after *file // the one before it, or nil
	pace  pacer

	in      *input
	entry   *entry
	resumed Counts
	from    int64 // lines up to this one were done by an earlier run
	reader  reader
	checker intake.Checker
	stands  standing
	lives   *lives   // nil: not looked at
	known   []uint64 // ids that the source had sent before, by history.HashID, in order
	fault   error    // why reading ended early; set before the blocks end
}

// sent is a block whose records are on their way.
type sent struct {
	*block
	receipt intake.Receipt
	counts  Counts
	ends    []int64
	records []happened // of entities that have a baseline, where that is looked at
}

func (f *file) run(ctx context.Context, sum *Summary) (err error) {
	sum.Files++
	if f.entry, err = f.book.find(f.name); err != nil {
		return err
	}
	f.resumed, f.from = f.entry.Counts, f.entry.Line
	sum.Resumed.add(f.resumed)
	if f.entry.Done {
		sum.Skipped++
		return nil
	}
	if err := f.open(); err != nil {
		return err
	}
	defer f.in.closer.Close()
	if err := f.mark(ctx); err != nil {
		return err
	}
	err = f.pipe(ctx)
	done := f.entry.Counts
	sum.add(done.less(f.resumed))
	last, local := f.reader.last()
	f.entry.Last, sum.Local = last, sum.Local || local
	if local && sum.Shifted == 0 {
		sum.Shifted = f.shifted(last)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("import: %s, after line %d: %w", f.name, f.entry.Line, err), f.book.save(true))
	}
	f.entry.Done = true
	f.tell(f.in.read.Load())
	return f.book.save(true)
}

func (f *file) open() (err error) {
	args := ""
	if f.cfg.Format == SSHD {
		args = " --format sshd"
	}
	if f.in, err = open(f.name, args, f.deps.Stdin); err != nil {
		return err
	}
	f.reader = f.cfg.reader(f.sshdOptions())
	if f.reader.remembers() || f.from == 0 {
		return nil
	}
	if err := f.in.skip(f.entry.Offset, f.from); err != nil {
		f.in.closer.Close()
		return fmt.Errorf("import: going on with %s: %w", f.name, err)
	}
	return nil
}

// sshdOptions takes the file's time of change for a reference of its years.
func (f *file) sshdOptions() sshd.Options {
	o := f.cfg.SSHD
	if o.Reference.IsZero() {
		o.Reference = f.deps.Now()
		if st, err := os.Stat(f.name); err == nil {
			o.Reference = st.ModTime()
		}
	}
	// --year is the year of the oldest of a log's files; the others go on from there.
	if o.Year != 0 && f.after != nil && base(f.after.name) == base(f.name) {
		o.After = f.after.entry.Last
	}
	return o
}

// shifted is by how many half hours the last line lies before or behind the file's time
// of change: a log that is still written ends when its file changed.
func (f *file) shifted(last time.Time) time.Duration {
	const step, slack, most = 30 * time.Minute, 90 * time.Second, 14 * time.Hour
	st, err := os.Stat(f.name)
	if f.name == "-" || err != nil || last.IsZero() {
		return 0
	}
	off := st.ModTime().Sub(last)
	whole := off.Round(step)
	if (off-whole).Abs() > slack || whole.Abs() > most {
		return 0
	}
	return whole
}

// pipe reads, sends and settles blocks side by side, in order.
func (f *file) pipe(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	blocks, waiting := make(chan *block, ahead), make(chan *sent, ahead)
	g.Go(func() error {
		defer close(blocks)
		f.fault = f.read(ctx, blocks)
		return nil
	})
	g.Go(func() error {
		defer close(waiting)
		return f.sendAll(ctx, blocks, waiting)
	})
	g.Go(func() error { return f.settle(ctx, waiting) })
	return g.Wait()
}

func (f *file) read(ctx context.Context, to chan<- *block) error {
	for {
		b, err := f.in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		select {
		case to <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settle waits for each block in turn and writes down how far the file is.
func (f *file) settle(ctx context.Context, from <-chan *sent) error {
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	defer stop()
	for s := range from {
		if err := s.receipt.Wait(patient); err != nil {
			return err
		}
		if f.lives != nil {
			s.counts.Late, s.counts.Unsorted = f.lives.follow(patient, s.records)
		}
		f.deps.Metrics.Accepted(f.src, int(s.counts.Accepted))
		f.deps.Metrics.Ignored(f.src, int(s.counts.Irrelevant+s.counts.Unreadable))
		if s.end <= f.entry.Offset && s.counts == (Counts{}) { // done by an earlier run
			continue
		}
		f.entry.add(s.counts)
		f.entry.Line, f.entry.Offset = f.entry.Line+s.counts.Lines, s.end
		if s.ends != nil {
			f.entry.Ends = s.ends
		}
		if err := f.book.save(false); err != nil {
			return err
		}
		f.tell(s.read)
	}
	return nil
}

func (f *file) tell(read int64) {
	f.deps.Progress(Progress{
		File: f.name, Index: f.index, Files: len(f.cfg.Files), Read: read, Size: f.in.size,
		Counts: f.entry.Counts, Resumed: f.resumed, Done: f.entry.Done,
	})
}
