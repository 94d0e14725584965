package pressure

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says what is to be left. Zero values take the defaults.
type Config struct {
	// Dir is a folder on the file system that is watched; none: no file system is.
	Dir string
	// DiskFree is in bytes (default 5 % of the file system, between 16 and 256 MiB).
	DiskFree int64
	// MemoryFree is in bytes (default 2 % of what the machine or the control group
	// has, at most 256 MiB).
	MemoryFree int64
	// FilesFree is how many more may be opened (default 5 % of the limit, at most 64).
	FilesFree int
	Every     time.Duration // between two looks (default 250 ms)
}

// Deps are a Watcher's surroundings; both may be nil.
type Deps struct {
	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

const mib = 1 << 20

// The floors where none is configured, from what there is in all.
func diskFloor(all int64) int64   { return min(max(all/20, 16*mib), 256*mib) }
func memoryFloor(all int64) int64 { return min(all/50, 256*mib) }
func filesFloor(all int64) int64  { return min(all/20, 64) }

func floorOr(configured int64, all int64, otherwise func(int64) int64) int64 {
	if configured > 0 {
		return configured
	}
	return otherwise(all)
}
