// Package gateway takes events over HTTP: POST /v1/events with NDJSON, plain or
// gzip, and a bearer token that says which source sends and what it may send.
//
// It answers only after the broker has acknowledged every accepted line, and
// names each refused line with the reason and how to fix it; a refused line
// leaves its neighbours untouched. Sending the same body again is harmless:
// records are known by their ids. Errors are problems as in RFC 9457. Size of
// body, decompressed body and line, number of lines, time and concurrent requests
// are bounded, so that a sender can neither fill memory nor hold a place for
// long. Refused lines are answered and counted, not stored.
package gateway
