// Package schemas holds Holdfast's words as Go types: events (what the platform
// did), findings (what Holdfast made of it), topics, keys and the audit store's
// tables, each declared once. Decoding is strict: a record either satisfies every
// limit named here or is refused with an Error that says which field was wrong
// and how to fix it. The package reads no clock, does no I/O and imports nothing
// else of the module.
package schemas
