// Package casework keeps a case: what was found, what is contained by whom, what must be
// done before the account is free again, and what proves it. It is pure: the caller's log
// gives the times, and the same records in any order within the lateness give the same case.
//
// # Containment
//
// Each owner (a policy, a person, the brake) holds the entity or one of its credentials on
// its own account. What is in force is the strictest of all holds. An automatic release
// lifts those of policies; a person's is lifted by a person.
//
// # The way back
//
// When an account is stopped, steps follow from its last snapshot and the changes since:
// what existed must be renewed, what was made inside the window of compromise must go. A
// step is proven by an event of the platform's or by a named person, from a closed list
// (schemas.Proof). An event counts if it lies after the stop and does not come from an
// address or an employee that the case names; a key that a user rotates before their
// password was reset does not count. Proofs are concluded again from all remembered events
// whenever one comes in, so that their order does not matter and a step can become open
// again.
package casework
