package rebuild

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"

	"holdfast/cmd/internal/replay"
	"holdfast/schemas"
)

// The notes of a run are a head and all state values, as JSON, one a line, compressed.
// They are whole or not there: a file is written beside and put in place when it is done.
type head struct {
	Of        string       `json:"of"`   // what the run was asked for; others' notes are not taken
	From      time.Time    `json:"from"` // arrival from which on the past is still to be played
	Events    int64        `json:"events"`
	Requests  int64        `json:"requests"`
	Place     replay.Place `json:"place"`
	Values    int          `json:"values"`
	Decisions []string     `json:"decisions"`
}

type noted struct {
	Topic schemas.Topic `json:"topic"`
	Key   string        `json:"key"`
	Value []byte        `json:"value"`
}

// of names what a run depends on.
func (c *Config) of() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%v\n%v\n%x\n", c.Since.UTC(), c.AgeLimit, c.Brake, c.HashSecret)
	for _, key := range slices.Sorted(maps.Keys(c.Control)) {
		fmt.Fprintf(h, "%s %x\n", key, c.Control[key])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// note writes down how far the run has come.
func (p *player) note(from time.Time) (err error) {
	p.noted = p.st.Events
	if p.cfg.Notes == "" {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing down how far this has come in %s: %w", p.cfg.Notes, err)
		}
	}()
	if err := os.MkdirAll(filepath.Dir(p.cfg.Notes), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(p.cfg.Notes+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	var values []noted
	if err := p.st.run.Save(func(topic schemas.Topic, _, key string, value []byte) error {
		values = append(values, noted{topic, key, value})
		return nil
	}); err != nil {
		return err
	}
	w := bufio.NewWriterSize(z, 1<<20)
	h := head{Of: p.cfg.of(), From: from, Events: p.st.Events, Requests: p.st.Requests, Place: p.st.run.Place(), Values: len(values), Decisions: slices.Sorted(maps.Keys(p.st.Decisions))}
	if err := json.MarshalWrite(w, h); err != nil {
		return err
	}
	for i := range values {
		if err := json.MarshalWrite(w, &values[i]); err != nil {
			return err
		}
	}
	if err := errors.Join(w.Flush(), z.Close(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(p.cfg.Notes+".new", p.cfg.Notes)
}

// resume takes up the notes of a former run that was asked for the same.
func (p *player) resume(ctx context.Context) error {
	if p.cfg.Notes == "" {
		return nil
	}
	f, err := os.Open(p.cfg.Notes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return err
	}
	defer z.Close()
	d := jsontext.NewDecoder(bufio.NewReaderSize(z, 1<<20))
	var h head
	if err := json.UnmarshalDecode(d, &h); err != nil {
		return fmt.Errorf("the notes in %s cannot be read: %w: delete them to begin anew", p.cfg.Notes, err)
	}
	if h.Of != p.cfg.of() {
		return nil // of another past or other policies: begin anew
	}
	for range h.Values {
		var v noted
		if err := json.UnmarshalDecode(d, &v); err != nil {
			return fmt.Errorf("the notes in %s cannot be read: %w: delete them to begin anew", p.cfg.Notes, errors.Join(err, io.ErrUnexpectedEOF))
		}
		if err := p.st.run.Restore(v.Topic, v.Key, v.Value); err != nil {
			return fmt.Errorf("the notes in %s: %w: delete them to begin anew", p.cfg.Notes, err)
		}
	}
	p.st.run.GoOn(h.Place)
	p.st.Events, p.st.Requests, p.st.Resumed, p.noted, p.from = h.Events, h.Requests, true, h.Events, h.From
	for _, id := range h.Decisions {
		p.st.Decisions[id] = true
	}
	// Which ids stand shortly before is read again.
	since, err := p.past.Reach(ctx, h.From)
	if err != nil {
		return err
	}
	for rec, err := range p.past.Arrived(ctx, since, h.From) {
		if err != nil {
			return err
		}
		p.double(&rec)
	}
	return nil
}
