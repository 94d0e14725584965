package enforce

import "sync"

// generation is how many ids one of the two generations holds: about 8 MiB each.
const generation = 65_536

// seen remembers the newest ids of actions and notices, at least 65,536 and at
// most twice as many. It is safe for concurrent use.
type seen struct {
	mu       sync.Mutex
	now, old map[string]struct{}
}

func newSeen() *seen { return &seen{now: map[string]struct{}{}} }

func (s *seen) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, now := s.now[id]
	_, old := s.old[id]
	return now || old
}

func (s *seen) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.now) >= generation {
		s.now, s.old = map[string]struct{}{}, s.now
	}
	s.now[id] = struct{}{}
}
