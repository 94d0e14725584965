package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// clusterLogger carries kfake's log lines into slog and keeps its errors, which
// it reports in no other way.
type clusterLogger struct {
	to *slog.Logger

	mu  sync.Mutex
	err error
}

func (l *clusterLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	var to slog.Level
	switch level {
	case kfake.LogLevelError:
		to = slog.LevelError
		l.mu.Lock()
		l.err = errors.Join(l.err, fmt.Errorf(format, args...))
		l.mu.Unlock()
	case kfake.LogLevelWarn:
		to = slog.LevelWarn
	default:
		return // a line for every request
	}
	l.to.Log(context.Background(), to, "embedded broker", "detail", fmt.Sprintf(format, args...))
}

func (l *clusterLogger) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
