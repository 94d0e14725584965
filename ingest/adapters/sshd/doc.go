// Package sshd reads the log of OpenSSH's server, as syslog writes it, and makes
// a login event of every attempt to log in.
//
// An attempt is an "Accepted" or "Failed" line (each of n for "message repeated n
// times"), and an "Invalid user" line whose connection then never tried anything.
// "Postponed" and "Failed none" are steps of an attempt, not attempts; "PAM n more
// authentication failures" counts what other lines already told. A "Partial" line,
// one factor of several, is a challenge. Every other line is counted as ignored;
// none is an error. What an attacker chose, a user name, may hold anything: the
// address is taken from the end of the line, where sshd writes it.
//
// Events come out in the order of the log, except that an attempt known only from
// its "Invalid user" line comes when its connection is over. The same lines always
// give the same events with the same ids, which follow from a line's number and
// text. Memory is bounded however many connections never end.
package sshd
