// Package intake is the one door by which events enter Holdfast: whatever brings
// them (HTTP, files, log adapters, the platform's own topics) hands each record
// to a Checker and writes what it accepts by a Producer.
//
// It promises that a record is either refused with a schemas.Error or stands on
// the events topic byte for byte as it was sent, under its entity's key, with
// source, origin and what is known of its network set here whatever the sender
// claims; and that a Receipt is
// settled only when the broker has acknowledged the write on all replicas in
// sync. A write whose outcome was lost stands in the log once: it is looked for
// there, and tried again under the same sequence numbers. (Only where a broker
// forgets its producers while a request is still on its way to it can it stand
// twice; readers know the double by its id.) Memory is bounded: Send
// waits while more than Config.MaxBytes are unacknowledged. What is accepted and
// what is refused is counted by source; only names from the configuration become
// labels.
package intake
