package world

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Summary counts what was written.
type Summary struct {
	Events, Harm, Attacks, Lookalikes int
}

// Counter counts events as they go by, and keeps the ids of attackers' sends.
type Counter struct {
	Events int
	Harm   []string
}

// See counts one.
func (c *Counter) See(e Event) {
	c.Events++
	if e.Harm {
		c.Harm = append(c.Harm, e.ID)
	}
}

// Summary is what a world that has ended held.
func (w *World) Summary(c *Counter) Summary {
	s := Summary{Events: c.Events, Harm: len(c.Harm), Lookalikes: len(w.traps)}
	for _, t := range w.truth {
		if !strings.HasPrefix(t.Kind, "~") {
			s.Attacks++
		}
	}
	return s
}

// WriteFile writes the events as NDJSON, packed where the name ends in .gz; - is out. When
// ctx ends it stops behind a whole event and returns the context's error.
func (w *World) WriteFile(ctx context.Context, name string, out io.Writer, see func(Event)) (err error) {
	if name != "-" {
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		return errors.Join(w.stream(ctx, f, strings.HasSuffix(name, ".gz"), see), f.Close())
	}
	return w.stream(ctx, out, false, see)
}

func (w *World) stream(ctx context.Context, out io.Writer, packed bool, see func(Event)) error {
	b := bufio.NewWriterSize(out, 1<<20)
	to := io.Writer(b)
	var z *gzip.Writer
	if packed {
		z, _ = gzip.NewWriterLevel(b, gzip.BestSpeed) // the level is one that there is
		to = z
	}
	var over error
	for e := range w.Events() {
		if over = ctx.Err(); over != nil {
			break
		}
		if see != nil {
			see(e)
		}
		if _, err := to.Write(append(e.JSON, '\n')); err != nil {
			return err
		}
	}
	if z != nil {
		if err := z.Close(); err != nil {
			return err
		}
	}
	return errors.Join(over, b.Flush())
}

// WriteDir writes events.ndjson.gz, truth.csv, traps.csv and harm.csv, the form that
// the scorer of labelled sets reads. When ctx ends it stops behind a whole event, and the
// labels are those of the world so far.
func (w *World) WriteDir(ctx context.Context, dir string) (Summary, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return Summary{}, err
	}
	var c Counter
	err := w.WriteFile(ctx, filepath.Join(dir, "events.ndjson.gz"), nil, c.See)
	if err != nil && ctx.Err() == nil {
		return Summary{}, err
	}
	return w.Summary(&c), errors.Join(err, w.WriteLabels(dir, &c))
}

// WriteLabels writes truth.csv, traps.csv and harm.csv.
func (w *World) WriteLabels(dir string, c *Counter) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	harm := "event\n"
	if len(c.Harm) > 0 {
		harm += strings.Join(c.Harm, "\n") + "\n"
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "harm.csv"), []byte(harm), 0o600),
		spans(filepath.Join(dir, "truth.csv"), w.truth), spans(filepath.Join(dir, "traps.csv"), w.traps))
}

func spans(name string, of []Span) error {
	of = slices.Clone(of)
	slices.SortStableFunc(of, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	c := csv.NewWriter(f)
	_ = c.Write([]string{"entity_kind", "entity", "kind", "start", "end"}) // kept until Flush
	for _, s := range of {
		_ = c.Write([]string{string(s.Entity.Kind), s.Entity.ID, s.Kind, stamp(s.Start), stamp(s.End)})
	}
	c.Flush()
	if err := errors.Join(c.Error(), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func stamp(at int64) string { return time.UnixMilli(at).UTC().Format(timeForm) }
