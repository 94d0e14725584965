// Package app joins ingest, detectors and alerting into one running process: the
// engines of one machine where they are wanted, the roles, and what other
// commands of the same user need to find a running instance. It is the only place
// that knows all three.
package app
