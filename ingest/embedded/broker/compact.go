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
	if err := b.checkKept(partitions); err != nil {
		return err
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

// errRolled says that a log began a new file just now; compaction waits for the
// next round.
var errRolled = errors.New("broker: a log went on in a new file while it was being kept")

// checkKept makes sure that no log has begun a file since it was kept: such a file
// would not come back. What is appended to files that are kept does.
func (b *Broker) checkKept(partitions []string) error {
	keptDir := filepath.Join(b.cfg.Dir, kept)
	for _, p := range partitions {
		fresh, err := freshFiles(filepath.Join(keptDir, p), filepath.Join(b.logDir(), "partitions", p))
		if err != nil || len(fresh) > 0 {
			return errors.Join(errRolled, err, os.RemoveAll(keptDir))
		}
	}
	return nil
}

func keepLogs(dir, logDir string, partitions []string) error {
	unfinished := filepath.Join(dir, keptUnfinished)
	if err := errors.Join(os.RemoveAll(unfinished), os.MkdirAll(unfinished, 0o700)); err != nil {
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
	if err := os.MkdirAll(to, 0o700); err != nil {
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
		err := os.Link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrExist) {
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

// recoverCompaction undoes a compaction that a stop cut short.
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
	for _, e := range entries {
		from, to := filepath.Join(keptDir, e.Name()), filepath.Join(logDir, "partitions", e.Name())
		if err := recoverLogs(from, to); err != nil {
			return fmt.Errorf("broker: put back the log %s that was being compacted: %w", e.Name(), err)
		}
	}
	logger.Info("embedded broker: undid a compaction that was cut short")
	if err := errors.Join(os.RemoveAll(keptDir), folder.SyncPath(dir)); err != nil {
		return fmt.Errorf("broker: recover: %w", err)
	}
	return nil
}

// recoverLogs makes one partition whole. kfake deletes all old files first and
// then writes the new ones in the order of their offsets, the last batch of the
// log always among them. So where no file is new, the old ones that are missing
// are put back; where the new ones reach as far as the old, they are whole; and
// otherwise they are thrown away.
func recoverLogs(from, to string) error {
	fresh, err := freshFiles(from, to)
	if err != nil {
		return err
	}
	if len(fresh) > 0 && logEnd(to) >= logEnd(from) {
		return nil
	}
	for _, path := range fresh {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if err := linkLogs(from, to); err != nil {
		return err
	}
	return syncTree(to)
}

// freshFiles lists the log files in to that are not those kept in from.
func freshFiles(from, to string) ([]string, error) {
	entries, err := os.ReadDir(to)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	var fresh []string
	for _, e := range entries {
		if !isLog(e.Name()) {
			continue
		}
		now, err := e.Info()
		if err != nil {
			return nil, err
		}
		old, err := os.Stat(filepath.Join(from, e.Name()))
		if ignoreMissing(err) != nil {
			return nil, err
		}
		if err != nil || !os.SameFile(now, old) {
			fresh = append(fresh, filepath.Join(to, e.Name()))
		}
	}
	return fresh, nil
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
