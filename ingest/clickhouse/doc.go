// Package clickhouse is the way to the audit store: connecting over HTTP or the
// native protocol, inserting blocks under a token, creating the tables and
// checking that they are what exactly-once recording stands on.
//
// It promises that an insert is one block and is sent with async_insert=0 and its
// token, so that the same block sent again under the same token is stored once;
// that an error which the server itself gave is a *Refused, and that any other
// error means that the outcome is unknown. It never changes rows and never splits
// a block. Statements that create or alter are such that they can be repeated,
// also by two processes at once.
package clickhouse
