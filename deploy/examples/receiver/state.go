package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// state is the newest change of each entity, and a file with a line for each change that was
// carried out. A change is written before it is confirmed.
type state struct {
	mu   sync.Mutex
	file *os.File
	size int64 // of whole lines
	by   map[string]*change
}

// openState reads the file. A last line that was cut off is taken away: its change was never
// confirmed, so it comes again.
func openState(path string) (*state, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	whole := bytes.LastIndexByte(b, '\n') + 1
	if err := f.Truncate(int64(whole)); err != nil {
		return nil, err
	}
	s := &state{file: f, size: int64(whole), by: map[string]*change{}}
	for n, line := range bytes.Split(b[:whole], []byte{'\n'}) {
		if len(line) == 0 {
			continue
		}
		c := new(change)
		if err := json.Unmarshal(line, c); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, n+1, err)
		}
		s.by[c.key()] = c
	}
	return s, nil
}

func (s *state) get(entity string) *change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[entity]
}

// apply carries a change out, unless a newer one was carried out before: (episode, step) say
// which is the newer. The same change again is set again, and not written again.
func (s *state) apply(c *change, carryOut func(before, c *change) error) (applied bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.by[c.key()]
	if before != nil && older(c, before) {
		return false, nil // it came late: the newer one stays in force
	}
	if err := carryOut(before, c); err != nil {
		return false, err
	}
	if before != nil && before.ID == c.ID {
		return true, nil
	}
	line, err := json.Marshal(c)
	if err != nil {
		return false, err
	}
	if err := s.write(append(line, '\n')); err != nil {
		return false, err
	}
	s.by[c.key()] = c
	return true, nil
}

// write appends a line, or leaves the file as it was.
func (s *state) write(line []byte) error {
	_, err := s.file.Write(line)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		_ = s.file.Truncate(s.size)
		return err
	}
	s.size += int64(len(line))
	return nil
}

func older(a, b *change) bool {
	return a.Episode < b.Episode || a.Episode == b.Episode && a.Step < b.Step
}
