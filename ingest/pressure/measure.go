package pressure

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// amount is what is left of a resource, and all there is of it.
type amount struct{ left, all int64 }

// disk measures the file system of a folder.
func disk(dir string) (amount, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return amount{}, err
	}
	return amount{int64(s.Bavail) * s.Bsize, int64(s.Blocks) * s.Bsize}, nil
}

// files measures how many files the process may still open.
func files() (amount, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return amount{}, err
	}
	d, err := os.Open("/proc/self/fd")
	if errors.Is(err, syscall.EMFILE) {
		return amount{0, int64(limit.Cur)}, nil
	}
	if err != nil {
		return amount{}, err
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	return amount{int64(limit.Cur) - int64(len(names)) + 1, int64(limit.Cur)}, err
}

// memory measures what the machine can still give, or the control group where that
// is less.
func memory() (amount, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return amount{}, err
	}
	m := amount{field(text, "MemAvailable:") << 10, field(text, "MemTotal:") << 10}
	if g, ok := group("/sys/fs/cgroup"); ok && g.left < m.left {
		return g, nil
	}
	return m, nil
}

// group reads the memory of a control group of version 2. What the page cache holds
// of files that are not in use can be taken back.
func group(dir string) (amount, bool) {
	limit, ok := number(dir + "/memory.max")
	if !ok {
		return amount{}, false
	}
	used, ok := number(dir + "/memory.current")
	stat, err := os.ReadFile(dir + "/memory.stat")
	if !ok || err != nil {
		return amount{}, false
	}
	return amount{max(limit-used+field(stat, "inactive_file"), 0), limit}, true
}

func number(path string) (int64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil // "max" is no limit
}

// field finds the number behind a name at the beginning of a line.
func field(text []byte, name string) int64 {
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}
