package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"holdfast/ingest/embedded/folder"
)

// Names of the folder that keeps hard links of the logs being compacted. It is
// made under the first name and renamed when it is whole.
const (
	keptUnfinished = "compacting.tmp"
	kept           = "compacting"
)

// compact compacts all compacted topics, whose partition folders are given. The
// old files stay linked until the new ones are on disk.
func (b *Broker) compact(partitions []string) error {
	if err := keepLogs(b.cfg.Dir, b.logDir(), partitions); err != nil {
		return fmt.Errorf("broker: keep the logs before compaction: %w", err)
	}
	b.cluster.Compact()
	for _, p := range partitions {
		if err := syncTree(filepath.Join(b.logDir(), "partitions", p)); err != nil {
			return fmt.Errorf("broker: put compacted logs on disk: %w", err)
		}
	}
	if err := os.RemoveAll(filepath.Join(b.cfg.Dir, kept)); err != nil {
		return fmt.Errorf("broker: let go of the logs from before compaction: %w", err)
	}
	return nil
}

func keepLogs(dir, logDir string, partitions []string) error {
	unfinished := filepath.Join(dir, keptUnfinished)
	if err := errors.Join(os.RemoveAll(unfinished), os.MkdirAll(unfinished, 0o750)); err != nil {
		return err
	}
	for _, p := range partitions {
		if err := linkLogs(filepath.Join(logDir, "partitions", p), filepath.Join(unfinished, p)); err != nil {
			return err
		}
	}
	if err := syncTree(unfinished); err != nil {
		return err
	}
	if err := os.Rename(unfinished, filepath.Join(dir, kept)); err != nil {
		return err
	}
	return folder.SyncPath(dir)
}

// linkLogs gives the log files of one partition folder a second name in another.
func linkLogs(from, to string) error {
	if err := os.MkdirAll(to, 0o750); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range entries {
		if !isLog(e.Name()) {
			continue
		}
		if err := os.Link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func isLog(name string) bool {
	return strings.HasSuffix(name, ".dat") || strings.HasSuffix(name, ".idx")
}

func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return ignoreMissing(err)
		}
		return ignoreMissing(folder.SyncPath(path))
	})
}

// recoverCompaction undoes a compaction that a stop cut short. The last batch of
// a log is always kept and written last, so a compacted log is whole exactly when
// it reaches as far as the kept one.
func recoverCompaction(dir, logDir string, logger *slog.Logger) error {
	if err := os.RemoveAll(filepath.Join(dir, keptUnfinished)); err != nil {
		return fmt.Errorf("broker: recover: %w", err)
	}
	keptDir := filepath.Join(dir, kept)
	entries, err := os.ReadDir(keptDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("broker: recover: %w", err)
	}
	restored := 0
	for _, e := range entries {
		from, to := filepath.Join(keptDir, e.Name()), filepath.Join(logDir, "partitions", e.Name())
		if logEnd(to) >= logEnd(from) {
			continue
		}
		if err := restoreLogs(from, to); err != nil {
			return fmt.Errorf("broker: put back the log %s that was being compacted: %w", e.Name(), err)
		}
		restored++
	}
	logger.Info("embedded broker: a compaction had been cut short", "logs_restored", restored)
	if err := errors.Join(os.RemoveAll(keptDir), folder.SyncPath(dir)); err != nil {
		return fmt.Errorf("broker: recover: %w", err)
	}
	return nil
}

func restoreLogs(from, to string) error {
	entries, err := os.ReadDir(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if isLog(e.Name()) {
			if err := os.Remove(filepath.Join(to, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := linkLogs(from, to); err != nil {
		return err
	}
	return syncTree(to)
}

// logsSize is the number of bytes in the given partition folders.
func logsSize(logDir string, partitions []string) int64 {
	var size int64
	for _, p := range partitions {
		entries, err := os.ReadDir(filepath.Join(logDir, "partitions", p))
		if err != nil {
			continue // a partition without a record has no folder yet
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && isLog(e.Name()) {
				size += info.Size()
			}
		}
	}
	return size
}

// partitionFolder is the name that kfake gives a partition's folder.
func partitionFolder(topic string, partition int32) string {
	return fmt.Sprintf("%s-%d", url.PathEscape(topic), partition)
}

// freeBytes is the space left where dir lies.
func freeBytes(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}
