// Package world makes up a mail platform's traffic at any size: customers of many
// habits, staff, attackers, and honest events that look like attacks. The same
// Options give the same bytes. What an attack did is told in labels beside the
// events and nowhere in them: attackers draw addresses, agents, ids and times from
// the customers' pools.
//
// A world is made a day at a time, so memory holds one day's events and what lies
// ahead of them, whatever the length. Events come in the order of time; every id
// stands once.
package world
