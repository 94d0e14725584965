// Package sshd reads the log of OpenSSH's server, as syslog, the journal or a container
// writes it, and makes a login event of every attempt to log in.
//
// # What is an attempt
//
//   - An "Accepted" or "Failed" line, each of n for "message repeated n times" and for
//     "last message repeated n times". "Partial", one factor of several, is a challenge.
//   - What PAM says of an answer or of a password, where sshd itself says nothing of it.
//   - An "Invalid user" line, or one that a user is not allowed, whose connection then
//     never tried anything.
//   - A connection that ended before a login, though a user was named, or that used up
//     its attempts, where nothing else told of one. A server that takes keys only writes
//     no more.
//   - A client that was sent away before it named a user: by tcp wrappers, or because it
//     speaks the obfuscated protocol of scanners. The user is empty.
//
// Keys that an agent offers are one attempt a connection, and none where the right one,
// or a password that was right, follows. "Postponed" and "Failed none" are steps of an
// attempt. A module of PAM that refuses where another one of the stack consents is none.
// Lines are joined by host and process; without a process by who is at the other end.
//
// # What is trusted
//
// Users' names, keys' IDs and a client's parting words are chosen by whoever connects,
// and may read like sshd's own words. The address is taken from where sshd writes it: of
// a name that may be anything, from the end of the line. Where a line can be read in
// two ways the connection's other lines decide, or else the address is left out. What
// stands in place of an address, because the server looks names up, is kept as "rhost".
//
// # What a line's fate is
//
// A line tells of an attempt, or is irrelevant, or cannot be read, which the caller is
// told with a reason. Events come out in the order of the log, except that an attempt
// that only the end of its connection makes certain comes then. The same lines always
// give the same events with the same ids, which follow from a line's number and text.
// Memory is bounded however many connections never end.
package sshd
