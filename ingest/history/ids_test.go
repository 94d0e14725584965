package history

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"holdfast/schemas"
)

// The engine hashes ids as HashID does, and gives those of one source, each once.
func TestSent(t *testing.T) {
	h, c := open(t)
	var want []uint64
	var events []schemas.Event
	for i := range 40 { // of every length that ends a block of eight bytes
		id := fmt.Sprintf("%.*sé", i, "0123456789abcdefghijklmnopqrstuvwxyz0123456789")
		want = append(want, HashID(id))
		events = append(events, schemas.Event{ID: id, Type: schemas.TypeSend, Time: start.UnixMilli() + int64(i), Account: "a1", Recipients: []string{"x@y.example"}})
	}
	slices.Sort(want)
	insertEvents(t, c, 0, 0, events...)
	insertEvents(t, c, 1, 0, events...)
	got, err := h.Sent(t.Context(), "test", start.Add(time.Hour))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%x, want %x (%v)", got, want, err)
	}
	for source, before := range map[string]time.Time{"another": start.Add(time.Hour), "test": start} {
		if got, err := h.Sent(t.Context(), source, before); err != nil || len(got) != 0 {
			t.Errorf("%s before %s: %d ids, %v", source, before, len(got), err)
		}
	}
}
