// Package record is the recorder: it writes every recorded journal into its table
// of the audit store, each record once.
//
// A partition is recorded in ranges of offsets [a, b). Before a range is inserted,
// offset a is committed with b as metadata, afterwards b without; whoever takes
// over inserts an open range again, exactly that one, under the same token, which
// the store knows. A range is cut where the month of arrival changes, at 500,000
// rows and at 64 MiB, so that it is one part of the table and happens or does not.
// While an insert's outcome is unknown the same rows are sent under the same token
// until it is known.
//
// The store being away delays nobody else: the recorder has a group of its own,
// stops fetching when its memory is full, and goes on where it was. A stretch of
// the log that was deleted before it could be recorded becomes a gap record. Rows
// that the store refuses go to the rejected topic; the range keeps its token.
//
// Dropped, and counted: fence records, and events that cannot be decoded, which
// the lane of their partition puts on the rejected topic. A finding that cannot be
// decoded is kept: its row has the whole record and what its headers tell.
package record
