package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"holdfast/ingest/adapters/sshd"
	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Format is how a file's lines are read.
type Format string

// The formats.
const (
	NDJSON Format = "ndjson"
	SSHD   Format = "sshd"
)

// Config says what to import and how. Zero values take the defaults.
type Config struct {
	Files    []string // "-" is standard input; gzip, zstd, bzip2 and xz are recognised by their first bytes
	Format   Format   // default ndjson
	SSHD     sshd.Options
	Live     bool    // the records may be acted on; otherwise they stop nobody
	Source   string  // default "import"
	Topic    string  // of events, with its prefix; default "holdfast.events"
	Rate     float64 // records a second; 0 is no limit
	Progress string  // path of the progress file; empty is none
}

// Validate returns every mistake, joined.
func (c *Config) Validate() error {
	var all []error
	if len(c.Files) == 0 {
		all = append(all, errors.New("import: no file given: name files, or - for standard input"))
	}
	stdin := 0
	for _, f := range c.Files {
		if f == "-" {
			stdin++
		}
	}
	if stdin > 1 {
		all = append(all, errors.New("import: - appears twice: standard input can be read once"))
	}
	switch c.Format {
	case "", NDJSON, SSHD:
	default:
		all = append(all, fmt.Errorf("import: format %q is unknown: use ndjson or sshd", c.Format))
	}
	if c.Rate < 0 {
		all = append(all, fmt.Errorf("import: rate %g is negative: write records a second, or 0 for no limit", c.Rate))
	}
	return errors.Join(all...)
}

func (c *Config) source() *intake.Source {
	s := &intake.Source{Name: c.Source, Origin: schemas.OriginImport}
	if s.Name == "" {
		s.Name = "import"
	}
	if c.Live {
		s.Origin = schemas.OriginLive
	}
	return s
}

// Writer is what the importer needs of *intake.Producer, which must be running.
type Writer interface {
	Send(ctx context.Context, r *intake.Receipt, topic schemas.Topic, rec kafka.Record) error
}

// Deps are the importer's surroundings. All but Writer may be nil.
type Deps struct {
	Writer Writer
	// Log lets an import that goes on leave out what stands already, though the
	// earlier run was ended before it could write that down. Without it those
	// records are sent again, under the same ids.
	Log   Log
	Stdin io.Reader // default os.Stdin
	// Progress is called after each block is acknowledged, and once at the end
	// of each file; from one goroutine.
	Progress func(Progress)
	// Refused is called for each refused line; from one goroutine.
	Refused func(Refusal)
	// Unreadable is called for each line that an adapter cannot read; from one
	// goroutine. Its text is valid during the call only.
	Unreadable func(Unreadable)
	Networks   intake.Networks
	// Past is the audit store. With it an import that is not live finds out which of its
	// records teach nothing.
	Past Past
	// Sent, as *history.History has it, lets the import count the events whose ids this
	// source has sent before. May be nil.
	Sent    func(ctx context.Context, source string, before time.Time) ([]uint64, error)
	Logger  *slog.Logger
	Metrics *intake.Metrics
	Now     func() time.Time
}

func (d *Deps) setDefaults() {
	if d.Stdin == nil {
		d.Stdin = os.Stdin
	}
	if d.Progress == nil {
		d.Progress = func(Progress) {}
	}
	if d.Refused == nil {
		d.Refused = func(Refusal) {}
	}
	if d.Unreadable == nil {
		d.Unreadable = func(Unreadable) {}
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Metrics == nil {
		d.Metrics = intake.NewMetrics(nil)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
}

// Counts say what became of lines.
type Counts struct {
	Lines    int64 `json:"lines"`
	Accepted int64 `json:"accepted"` // events acknowledged
	Refused  int64 `json:"refused"`
	// Irrelevant are lines that an adapter needs none of, and empty lines. Earlier
	// versions wrote them, and those that cannot be read, as ignored.
	Irrelevant int64 `json:"ignored"`
	Unreadable int64 `json:"unreadable,omitzero"` // lines that an adapter cannot read
	// Late are events that teach nothing because more was recorded of their account or
	// employee before this import, Unsorted those that lie so far behind earlier records
	// of the import itself. Both are among the accepted.
	Late     int64 `json:"late,omitzero"`
	Unsorted int64 `json:"unsorted,omitzero"`
	// Repeated are events, among the accepted, whose ids the source had sent before this
	// import began.
	Repeated int64 `json:"repeated,omitzero"`
}

func (c *Counts) add(d Counts) {
	c.Lines += d.Lines
	c.Accepted += d.Accepted
	c.Refused += d.Refused
	c.Irrelevant += d.Irrelevant
	c.Unreadable += d.Unreadable
	c.Late += d.Late
	c.Unsorted += d.Unsorted
	c.Repeated += d.Repeated
}

// less is what c has beyond d.
func (c Counts) less(d Counts) Counts {
	return Counts{
		Lines: c.Lines - d.Lines, Accepted: c.Accepted - d.Accepted, Refused: c.Refused - d.Refused,
		Irrelevant: c.Irrelevant - d.Irrelevant, Unreadable: c.Unreadable - d.Unreadable,
		Late: c.Late - d.Late, Unsorted: c.Unsorted - d.Unsorted, Repeated: c.Repeated - d.Repeated,
	}
}

// Progress says how far one file is.
type Progress struct {
	File  string
	Index int // of the file, from 0
	Files int
	Read  int64 // bytes of the file, as it lies on the disk
	Size  int64 // -1 where it is not known
	Counts
	Resumed Counts // what an earlier run had already done of it
	Done    bool
}

// Refusal says which line was refused and why.
type Refusal struct {
	File string
	Line int64
	Err  *schemas.Error
}

// Error is the refusal as one line, beginning "file:line: ".
func (r Refusal) Error() string { return fmt.Sprintf("%s:%d: %v", r.File, r.Line, r.Err) }

// Unreadable says which line could not be read, and why.
type Unreadable struct {
	File string
	Line int64
	Why  string // continues "the line …"
	Text []byte // its first 256 bytes, as they stand there
}

// Summary says what became of all files.
type Summary struct {
	Files   int
	Skipped int // finished in an earlier run
	// Local says that lines had times without a zone, which Config.SSHD.Location
	// completed.
	Local bool
	// Shifted is how far the last line of such a file lies before the file's own time,
	// where that is a whole number of half hours, as if another zone were meant; else 0.
	Shifted time.Duration
	Counts
	Resumed Counts // done by earlier runs, not counted above
	// Untaught is of whom records teach nothing, where that was looked at.
	Untaught Untaught
	Elapsed  time.Duration
}
