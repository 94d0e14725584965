package record

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A thousand failures of several attempts are a line at their beginning, one a
// minute, and one at their end.
func TestTroubleIsToldOnceAndSummarised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tr := newTrouble(slog.New(slog.NewTextHandler(&out, nil)))
		a, b := tr.attempt("inserting"), tr.attempt("inserting")
		for range 500 {
			a.failed(errors.New("no space"))
			b.failed(errors.New("no space"))
			time.Sleep(time.Second / 4)
		}
		a.over()
		if lines := strings.Count(out.String(), "\n"); lines != 3 || strings.Count(out.String(), "level=WARN") != 3 {
			t.Errorf("%d lines in 125 s, want 3 warnings:\n%s", lines, &out)
		}
		b.over()
		tr.attempt("inserting").over()
		if got := out.String(); strings.Count(got, "\n") != 4 || !strings.Contains(got, "failures=1000") {
			t.Errorf("the end is not told once:\n%s", got)
		}
	})
}
