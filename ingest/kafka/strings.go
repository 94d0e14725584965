package kafka

import "fmt"

// String writes a partition as topic/number.
func (tp TopicPartition) String() string { return fmt.Sprintf("%s/%d", tp.Topic, tp.Partition) }

// String writes a position as topic/number@offset.
func (p Position) String() string { return fmt.Sprintf("%s@%d", p.TopicPartition, p.Offset) }

// String sums an answer up.
func (f Fetched) String() string {
	return fmt.Sprintf("%s: %d records, next %d of %d, error: %v", f.TopicPartition, len(f.Records), f.Next, f.HighWatermark, f.Err)
}
