// Package importer loads files of events, NDJSON or logs that an adapter reads,
// plain or compressed, through the intake's checks onto the events topic.
//
// It promises that every line is accepted and acknowledged, refused (told to the
// caller with file and line, and kept on the rejected topic), irrelevant
// because an adapter says that it is no event, or unreadable (told to the caller with
// file, line and reason). With a progress file an interrupted import
// goes on behind the last line of which everything before was acknowledged; what
// was sent after it is found in the log and left out, or, without Deps.Log, sent
// again under the same ids. The progress file goes when all files are done. Memory is bounded by a few blocks of 2 MiB, whatever the
// length of the file or of a line.
package importer
