package broker

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"holdfast/ingest/embedded/folder"
)

// syncer puts on disk what has been written to the log folder since it last did.
type syncer struct {
	dir  string
	seen map[string]fileState
}

type fileState struct {
	size int64
	time time.Time
}

func newSyncer(dir string) *syncer {
	return &syncer{dir: dir, seen: make(map[string]fileState)}
}

// sync syncs every file and folder whose size or time differs from the last round.
func (s *syncer) sync() error {
	seen := make(map[string]fileState, len(s.seen))
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		state := fileState{size: info.Size(), time: info.ModTime()}
		if s.seen[path] != state {
			if err := folder.SyncPath(path); err != nil {
				return ignoreMissing(err)
			}
		}
		seen[path] = state // as it was before the sync, so that later writes count
		return nil
	})
	if err == nil {
		s.seen = seen
	}
	return err
}

// ignoreMissing passes over a file that the broker removed meanwhile.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (b *Broker) keepSynced(ctx context.Context) {
	timer := time.NewTimer(b.cfg.SyncEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := b.syncer.sync(); err != nil {
			b.cfg.Logger.Error("embedded broker: logs cannot be put on disk; a power failure would lose them", "dir", b.cfg.Dir, "error", err)
		}
		timer.Reset(b.cfg.SyncEvery)
	}
}
