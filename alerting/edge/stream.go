package edge

import (
	"net/http"
	"time"

	"holdfast/schemas"
)

// heartbeat is how often a stream without changes says that it is alive.
const heartbeat = 15 * time.Second

// serveChanges streams each change as an event "status" with the answer as its data. A
// reader that comes back with Last-Event-ID gets what it missed; where that is no longer
// kept, the first event is "reset": read the list, then follow.
func (e *Edge) serveChanges(w http.ResponseWriter, r *http.Request) {
	defer e.streams.Add(-1)
	if e.streams.Add(1) > int64(e.cfg.Streams) {
		w.Header().Set("Retry-After", "10")
		problem(w, http.StatusServiceUnavailable, "all streams are taken: try again later, or poll /v1/stopped")
		return
	}
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	at, reset := e.changes.now(), false
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		n, ok := e.changes.place(last)
		if _, _, _, kept := e.changes.since(n, 0); ok && kept {
			at = n
		} else {
			reset = true
		}
	}
	buf := append([]byte("retry: 2000\nid: "), e.changes.id(at)...)
	if reset {
		buf = append(buf, "\nevent: reset\ndata: {}"...)
	}
	buf = append(buf, "\n\n"...)
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		// Who does not read for a while is let go; it comes back where it was.
		_ = out.SetWriteDeadline(time.Now().Add(e.cfg.Timeout))
		if len(buf) > 0 {
			if _, err := w.Write(buf); err != nil { // #nosec G705 -- JSON, and said to be
				return
			}
			if err := out.Flush(); err != nil {
				return
			}
		}
		keys, next, wake, ok := e.changes.since(at, 256)
		if !ok {
			return // it fell out of what is kept: the next try is told so
		}
		buf = buf[:0]
		if len(keys) == 0 {
			select {
			case <-r.Context().Done():
				return
			case <-wake:
			case <-tick.C:
				buf = append(buf, ": alive\n\n"...)
			}
			continue
		}
		for i, key := range keys {
			entity, err := schemas.ParseEntity(key)
			if err != nil {
				continue
			}
			a := e.Lookup(entity)
			buf = append(buf, "event: status\nid: "...)
			buf = append(buf, e.changes.id(at+uint64(i)+1)...)
			buf = append(buf, "\ndata: "...)
			buf = a.appendJSON(buf)
			buf = append(buf, "\n\n"...)
		}
		at = next
	}
}
