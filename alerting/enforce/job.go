package enforce

import "sync"

// job is one decision under way: it is finished when each of its tasks has ended.
type job struct {
	item   Item
	finish func(done bool)

	mu     sync.Mutex
	left   int
	broken bool // a task was cut short
}

func (j *job) add() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.left++
}

// end ends one task; done is false where it was cut short and must come again.
func (j *job) end(done bool) {
	j.mu.Lock()
	j.left--
	j.broken = j.broken || !done
	last, whole := j.left == 0, !j.broken
	j.mu.Unlock()
	if last {
		j.finish(whole)
	}
}
