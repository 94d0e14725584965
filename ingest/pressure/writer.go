package pressure

import (
	"context"

	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Sender is what takes records; *intake.Producer is one.
type Sender interface {
	Send(ctx context.Context, r *intake.Receipt, topic schemas.Topic, rec kafka.Record) error
}

// Writer hands records on while nothing is short, and waits otherwise: for readers of
// topics and files, which lose nothing by waiting.
type Writer struct {
	To      Sender
	Watcher *Watcher
}

// Send waits until nothing is short and hands the record on.
func (w Writer) Send(ctx context.Context, r *intake.Receipt, topic schemas.Topic, rec kafka.Record) error {
	if err := w.Watcher.Wait(ctx); err != nil {
		return err
	}
	return w.To.Send(ctx, r, topic, rec)
}
