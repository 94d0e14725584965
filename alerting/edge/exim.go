package edge

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"strings"
	"time"

	"holdfast/schemas"
)

// maxQuestion is the longest question of the one-line protocol, in bytes.
const maxQuestion = 1024

// ServeLine answers the one-line protocol, as Exim's readsocket speaks it: a line with an
// entity (kind:id, or a bare id of the configured kind), an answer in one line, then the
// connection is closed. The answer is the status in one word (active, review, throttled,
// revoked, suspended, blocked, unknown), after "stale " where the copy is older than it should be.
// A question that is none gets no answer.
func (e *Edge) ServeLine(ctx context.Context, l net.Listener) error {
	return e.serveConns(ctx, l, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(e.cfg.Timeout))
		line, err := bufio.NewReaderSize(c, maxQuestion).ReadSlice('\n')
		question := strings.TrimSpace(string(line))
		if err != nil && (len(line) >= maxQuestion || len(question) == 0) || bytes.IndexByte(line, 0) >= 0 {
			e.deps.Metrics.unanswered(viaLine)
			return
		}
		entity, err := schemas.ParseEntity(question)
		if err != nil {
			entity, err = schemas.ParseEntity(e.cfg.EximKind + ":" + question)
		}
		if err != nil {
			e.deps.Metrics.unanswered(viaLine)
			return
		}
		a := e.Lookup(entity)
		e.deps.Metrics.lookup(viaLine, &a)
		word := a.Word() + "\n"
		if a.Stale {
			word = "stale " + word
		}
		_, _ = c.Write([]byte(word))
	})
}
