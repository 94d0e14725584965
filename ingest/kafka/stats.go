package kafka

import "sync/atomic"

// Stats counts what a client has done since it was made. Bytes are as on the
// wire, packed where the batch is.
type Stats struct {
	Fetches, FetchedBytes, FetchedRecords uint64
	Batches, WrittenBytes, WrittenRecords uint64
	Retries                               uint64
}

type counters struct {
	fetches, fetchedBytes, fetchedRecords atomic.Uint64
	batches, writtenBytes, writtenRecords atomic.Uint64
	retries                               atomic.Uint64
}

// Stats reads the counters; they only grow.
func (c *Client) Stats() Stats {
	s := &c.stats
	return Stats{
		Fetches: s.fetches.Load(), FetchedBytes: s.fetchedBytes.Load(), FetchedRecords: s.fetchedRecords.Load(),
		Batches: s.batches.Load(), WrittenBytes: s.writtenBytes.Load(), WrittenRecords: s.writtenRecords.Load(),
		Retries: s.retries.Load(),
	}
}
