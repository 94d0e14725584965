package enforce

import "sync"

// generation is how many keys one of the two generations holds: about 8 MiB each.
const generation = 65_536

// recent remembers the newest keys with a value each, at least 65,536 and at most twice as
// many. It is safe for concurrent use.
type recent[V any] struct {
	mu       sync.Mutex
	now, old map[string]V
}

func newRecent[V any]() *recent[V] { return &recent[V]{now: map[string]V{}} }

func (s *recent[V]) get(key string) (V, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.now[key]; ok {
		return v, true
	}
	v, ok := s.old[key]
	return v, ok
}

func (s *recent[V]) has(key string) bool {
	_, ok := s.get(key)
	return ok
}

func (s *recent[V]) put(key string, v V) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.now) >= generation {
		s.now, s.old = map[string]V{}, s.now
	}
	s.now[key] = v
}
