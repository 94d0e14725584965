// Package history reads the audit store: an entity's timeline, the events between
// two times in the order of their log, and counts by which a record can be proved
// whole.
//
// It promises that a row which was stored twice, or a finding that was made twice,
// is given once; that events come back as they were decoded; and that memory does
// not grow with the answer: rows are handed on as they arrive, and sorting that
// does not fit into memory is done on the store's disk. It never changes the store.
package history
