package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	_ "time/tzdata" // --timezone on machines without a database of zones

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"holdfast/alerting/policy"
	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/replay"
	"holdfast/ingest/adapters/sshd"
	"holdfast/ingest/importer"
	"holdfast/ingest/intake"
	"holdfast/ingest/pressure"
	"holdfast/ingest/unpack"
	"holdfast/schemas"
)

type importCmd struct {
	Files    []string `arg:"" help:"Files, plain or compressed (gzip, zstd, bzip2, xz); - is standard input."`
	Live     bool     `help:"The records may cause automatic stops; without it they are history and stop nobody."`
	Format   string   `enum:"ndjson,sshd" default:"ndjson" help:"ndjson, or sshd for OpenSSH's log."`
	Year     int      `placeholder:"YEAR" help:"The year of an OpenSSH log's first line, or of the oldest of its rotated files (default: from each file's own time)."`
	Timezone string   `placeholder:"ZONE" help:"The zone of an OpenSSH log's times that have none: Europe/Berlin, +01:00 or UTC (default: this machine's)."`
	Staff    bool     `help:"The users of an OpenSSH log are employees."`
	Source   string   `default:"import" help:"Source name of every record."`
	Rate     float64  `placeholder:"N" help:"Send at most this many records a second."`
	Progress string   `name:"progress-file" placeholder:"FILE" help:"Keeps the progress, so that an interrupted import can continue (default: in the data folder)."`
	Quiet    bool     `short:"q" help:"Show no progress."`
}

// Help tells when history teaches.
func (importCmd) Help() string {
	return fmt.Sprintf("Without --live records are history: detection learns from them, and they stop nobody. Import an account's history before its first live record, "+
		"or within the %d days after it, all at once and sorted by time. Later it lies behind what the account has done since: it is recorded and teaches nothing, "+
		"and the import says so. Where that is every record, the exit status is 1.", newDays)
}

const (
	// maxTold bounds the refused lines that are printed one by one.
	maxTold = 20
	// maxShown bounds those that cannot be read.
	maxShown = 5
)

// Run imports.
func (i *importCmd) Run(ctx context.Context, c *common) error {
	if err := noFolder(i.Files); err != nil {
		return err
	}
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	zone, err := i.zone()
	if err != nil {
		return err
	}
	networks, err := app.OpenEnrichment(&cfg, nil, nil)
	if err != nil {
		return err
	}
	progress := i.Progress
	if progress == "" {
		progress = filepath.Join(cfg.DataDir, "import-"+strings.TrimPrefix(schemas.DeriveID("p", i.Files...), "p_")+".json")
	}
	writer, err := app.ConnectIntake(&cfg, quiet())
	if err != nil {
		return err
	}
	defer writer.Close()
	producer := intake.NewProducer(intake.Config{Prefix: cfg.Kafka.Prefix}, intake.Deps{Broker: writer, Logger: quiet()})
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var g errgroup.Group
	g.Go(func() error { return producer.Run(run) })
	machine := app.WatchInstance(&cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	g.Go(func() error { return machine.Run(run) })

	past, closed := openPast(&cfg)
	defer closed()
	told, shown, early := 0, 0, false
	bar := newBar(i.Quiet)
	sum, err := importer.Run(ctx, importer.Config{
		Files: i.Files, Format: importer.Format(i.Format), SSHD: sshd.Options{Year: i.Year, Staff: i.Staff, Location: zone},
		Live: i.Live, Source: i.Source, Rate: i.Rate, Progress: progress, Topic: cfg.Kafka.Prefix + string(schemas.TopicEvents),
	}, importer.Deps{
		Writer: pressure.Writer{To: producer, Watcher: machine}, Log: client, Networks: networks, Past: past, Sent: past.Sent, Logger: quiet(), Progress: bar.show,
		Refused: func(r importer.Refusal) {
			early = early || r.Err.Reason == schemas.ReasonFuture
			if told++; told <= maxTold {
				bar.clear()
				fmt.Fprintln(os.Stderr, "refused", r.Error())
			}
		},
		Unreadable: func(u importer.Unreadable) {
			if shown++; shown <= maxShown {
				bar.clear()
				fmt.Fprintf(os.Stderr, "unreadable %s:%d: the line %s: %s\n", u.File, u.Line, u.Why, strconv.QuoteToASCII(string(u.Text)))
			}
		},
	})
	bar.clear()
	stop()
	err = errors.Join(err, g.Wait())
	if told > maxTold {
		fmt.Fprintf(os.Stderr, "refused %d more lines: all of them stand on the rejected topic\n", told-maxTold)
	}
	if shown > maxShown {
		fmt.Fprintf(os.Stderr, "unreadable %d more lines\n", shown-maxShown)
	}
	if err != nil && sum.Lines == 0 && sum.Resumed.Lines == 0 {
		return err
	}
	fmt.Printf("%s: %d accepted, %d refused, %d irrelevant, %d unreadable", count(sum.Lines, "line", "lines"), sum.Accepted, sum.Refused, sum.Irrelevant, sum.Unreadable)
	if sum.Resumed.Lines > 0 || sum.Skipped > 0 {
		fmt.Printf("; an earlier run had done %d lines", sum.Resumed.Lines)
	}
	fmt.Printf(" (%s)\n", sum.Elapsed.Round(time.Millisecond))
	if n := sum.Repeated + sum.Resumed.Repeated; n > 0 {
		fmt.Printf("%s of the accepted are duplicates: the source %s had sent them before (the views *_unique show each once)\n", count(n, "event", "events"), i.Source)
	}
	if sum.Local && i.Timezone == "" {
		tellZone(zone, sum.Shifted, early)
	}
	if err == nil && sum.Lines > 0 && sum.Accepted == 0 {
		err = fmt.Errorf("not one line was taken: is it a file of --format %s?", i.Format)
	}
	return errors.Join(err, tellUntaught(sum))
}

// tellZone says by which zone times were read that have none, where that is not UTC, or
// where it looks wrong: the last line lies hours from the file's own time, or lines were
// refused as of the future.
func tellZone(zone *time.Location, shifted time.Duration, early bool) {
	now := time.Now()
	abbreviation, _ := now.In(zone).Zone()
	name := sshd.ZoneName(zone, now)
	if abbreviation == "UTC" {
		name = "UTC"
	}
	switch {
	case shifted != 0:
		fmt.Printf("times without a zone were read as of %s, this machine's, and the last one lies %s from the file's own time: if the server's clock shows another zone, say which with --timezone\n", name, shifted.Abs())
	case early:
		fmt.Printf("times without a zone were read as of %s, this machine's: if the server's clock shows another zone, say which with --timezone\n", name)
	case abbreviation != "UTC":
		fmt.Printf("times without a zone were read as of %s, this machine's: --timezone says otherwise\n", name)
	}
}

// zone is that of times without one.
func (i *importCmd) zone() (*time.Location, error) {
	if i.Timezone == "" {
		return time.Local, nil
	}
	if i.Format != string(importer.SSHD) {
		return nil, errors.New("--timezone is for --format sshd: the times of NDJSON have a zone")
	}
	loc, err := sshd.ParseZone(i.Timezone)
	if err != nil {
		return nil, fmt.Errorf("--timezone: %w", err)
	}
	return loc, nil
}

// noFolder refuses folders, which cannot be read as a file of events.
func noFolder(names []string) error {
	for _, name := range names {
		if st, err := os.Stat(name); name != "-" && err == nil && st.IsDir() {
			return fmt.Errorf("%s is a folder: name the files in it", name)
		}
	}
	return nil
}

// bar is one line of progress on a terminal, rewritten in place.
type bar struct {
	on    bool
	width int
	last  time.Time
}

func newBar(quiet bool) *bar {
	fd := int(os.Stderr.Fd())
	b := &bar{on: !quiet && term.IsTerminal(fd)}
	if w, _, err := term.GetSize(fd); err == nil {
		b.width = w
	}
	return b
}

func (b *bar) show(p importer.Progress) {
	if !b.on || !p.Done && time.Since(b.last) < 100*time.Millisecond {
		return
	}
	b.last = time.Now()
	text := fmt.Sprintf("%s: %d accepted, %d refused", filepath.Base(p.File), p.Accepted, p.Refused)
	if p.Size > 0 {
		const cells = 30
		done := int(min(p.Read, p.Size) * cells / p.Size)
		text = fmt.Sprintf("[%s%s] %3d%% %s", strings.Repeat("#", done), strings.Repeat(".", cells-done), min(p.Read, p.Size)*100/p.Size, text)
	}
	if b.width > 0 && len(text) >= b.width {
		text = text[:b.width-1]
	}
	fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text)
}

func (b *bar) clear() {
	if b.on {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}

type replayCmd struct {
	Files     []string `arg:"" help:"NDJSON files, plain or compressed (gzip, zstd, bzip2, xz); - is standard input."`
	Decisions string   `placeholder:"OUT" help:"Write decisions here; - is standard output."`
	Signals   string   `placeholder:"OUT" help:"Write signals here; - is standard output."`
	Cases     string   `placeholder:"OUT" help:"Write cases here, each time that one changes; - is standard output."`
	Policy    string   `aliases:"policies" placeholder:"FILE" help:"Decide by these policies and detectors' numbers (default: the configuration's). Policies in shadow decide in mode shadow."`
	Brake     bool     `help:"Let the gate brake automatic stops."`
}

// Run replays.
func (r *replayCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	by, err := policies(r.Policy, cfg.Respond.PoliciesFile)
	if err != nil {
		return err
	}
	networks, err := app.OpenEnrichment(&cfg, nil, nil)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // a run keeps some tens of megabytes, and throws away a few an instant
	}
	if err := r.apart(); err != nil {
		return err
	}
	var outs outputs
	told := 0
	var file atomic.Pointer[string]
	p, err := replay.New(replay.Config{Policies: by.set, Parameters: by.parameters, Trial: by.trial, Brake: r.Brake, Networks: networks.Lookup(), Untimed: true}, replay.Deps{
		Decisions: outs.to(r.Decisions), Signals: outs.to(r.Signals), Cases: outs.to(r.Cases),
		Refused: func(n int64, err *schemas.Error) {
			if told++; told <= maxTold {
				fmt.Fprintf(os.Stderr, "refused line %d: %v\n", n, err)
			}
		},
		Stuck: func(n int64, busy time.Duration) {
			fmt.Fprintf(os.Stderr, "line %d of %s has taken %s so far: please report it, and leave it out to go on\n", n, *file.Load(), busy.Round(time.Second))
		},
	})
	if err != nil || outs.err != nil {
		return errors.Join(err, outs.err, outs.close())
	}
	var sum replay.Summary
	for _, name := range r.Files {
		file.Store(&name)
		var in io.ReadCloser
		if in, err = openFile(name, "replay"); err != nil {
			break
		}
		sum, err = p.Run(ctx, in)
		if err = errors.Join(err, in.Close()); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			break
		}
	}
	if err != nil && sum.Lines > 0 {
		fmt.Fprint(os.Stderr, "not done; so far: ")
	}
	if err == nil || sum.Lines > 0 {
		fmt.Fprintf(os.Stderr, "%d events, %d refused, %d duplicates; %d signals, %d decisions; %s, %.0f events/s\n",
			sum.Events, sum.Refused, sum.Duplicates, sum.Signals, sum.Decisions, sum.Elapsed.Round(time.Millisecond), float64(sum.Events)/sum.Elapsed.Seconds())
		tellClocks(sum)
	}
	return errors.Join(err, outs.close())
}

// tellClocks warns of events that were not judged because of their times.
func tellClocks(sum replay.Summary) {
	if sum.Late > 0 {
		fmt.Fprintf(os.Stderr, "warning: %d events were too late to count: each lay more than %s behind the newest one of its account, employee or address; sort the file by time, or see which sender's clock is wrong\n", sum.Late, schemas.Lateness)
	}
	if sum.Ahead > 0 {
		fmt.Fprintf(os.Stderr, "warning: %d events were days ahead of those around them and did not count; see which sender's clock is wrong\n", sum.Ahead)
	}
}

// apart looks at the files before anything is written: one that is missing shall not
// cost what an earlier run wrote, nor shall an output overwrite what is to be read.
func (r *replayCmd) apart() error {
	if err := noFolder(r.Files); err != nil {
		return err
	}
	for _, name := range r.Files {
		if name == "-" {
			continue
		}
		in, err := os.Stat(name)
		if err != nil {
			return err
		}
		for flag, out := range map[string]string{"--decisions": r.Decisions, "--signals": r.Signals, "--cases": r.Cases} {
			if to, err := os.Stat(out); err == nil && out != "-" && os.SameFile(in, to) {
				return fmt.Errorf("%s names %s itself, which would be lost: name another file", flag, name)
			}
		}
	}
	return nil
}

// judging is what a policy file says how is judged.
type judging struct {
	set               *policy.Set
	parameters, trial jsontext.Value
}

// policies reads the policies, detectors' numbers and trial of a file, or else of the
// one that the configuration names.
func policies(name, configured string) (by judging, err error) {
	if name == "" {
		name = configured
	}
	if _, by.set, err = app.ReadPolicies(name); err != nil {
		return by, err
	}
	if by.parameters, err = app.Parameters(name, by.set); err != nil {
		return by, err
	}
	by.trial, err = app.Trial(name, by.set)
	return by, err
}

// outputs are the files that findings are written to, one a line.
type outputs struct {
	files map[string]*bufio.Writer
	done  []func() error
	err   error
}

func (o *outputs) to(name string) func([]byte) error {
	if name == "" {
		return nil
	}
	if o.files == nil {
		o.files = map[string]*bufio.Writer{}
	}
	w, ok := o.files[name]
	if !ok {
		f := os.Stdout
		if name != "-" {
			var err error
			if f, err = os.Create(name); err != nil {
				o.err = errors.Join(o.err, err)
				return nil
			}
			o.done = append(o.done, f.Close)
		}
		w = bufio.NewWriter(f)
		o.files[name] = w
		o.done = append([]func() error{w.Flush}, o.done...)
	}
	return func(value []byte) error {
		if _, err := w.Write(value); err != nil {
			return err
		}
		return w.WriteByte('\n')
	}
}

func (o *outputs) close() error {
	var errs []error
	for _, f := range o.done {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// openFile opens a file or standard input, unpacking it as its first bytes tell. args
// are those of the command that another program's output could be piped into.
func openFile(name, args string) (io.ReadCloser, error) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, err
		}
	}
	text, err := unpack.New(f, name, args)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return readCloser{text, f}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}
