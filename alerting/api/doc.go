// Package api is how people and their tools ask Holdfast and act: a Service, whose methods
// are every question and every act, and over it the HTTP handlers of /v1. The console and
// the command line use the same methods.
//
// It promises that nothing is answered or done without a Principal who has the right to
// it; that every act, refused ones too, becomes an operator record which says who, from
// where and why; that an act which was sent twice under one idempotency key is done once;
// and that an act on a case which has changed since the person saw it is refused.
//
// It never decides anything by itself: an act is a request in its entity's inbox, and the
// answer is the lane's own. What it shows of the present comes from a copy of the compacted
// topics, which needs no database; questions about the past go to History, which may be
// away. It imports neither ingest nor detectors: what it needs comes through the interfaces
// of deps.go.
package api
