// Package respond decides. Its Fold is the pure function of one respond lane's
// log, the inbox: signals, the account events that detection hands on, people's
// requests and the gate's answers go in; decisions, status, cases, operator
// records and proposals come out. It reads no clock, does no I/O and owns no
// goroutine; what it writes follows from the log alone.
//
// A signal passes small stages in this order: known (drop what was answered), snoozes,
// allow-lists, and for each policy whose window it is part of enough (two families or a
// certain signal), floor, whether it is decided already, the condition, route (protected
// entities, the gate), decide, case.
//
// # Episodes
//
// A live decision's episode is the number of the 48 h cell in which the newest of
// the gravest signals of its window lies (see views), or, after a person released or
// dismissed the entity, at least one more than any episode before. Nobody releases shadow and history
// decisions; their episode is the cell's number alone. So a decision's id depends
// on the signals and the requests, not on the order in which signals came in, and
// each (policy, verdict, mode, episode) is decided once. A decision that finds its
// verdict already in force in its episode is recorded with verdict observe:
// nobody is told twice.
//
// # Trials
//
// Signals by numbers on trial come as another kind of record and are judged by the
// live policies apart from the live ones, in a state of their own beside the entity's.
// Their decisions are of mode shadow and name the trial; they touch no standing.
//
// # Bounds
//
// An entity keeps at most 128 signals of the last 48 h, or that arrived in the
// last two hours however old they are; the ids of the last 1,024 that it answered,
// what 256 decisions were of and 8 contacts: below 224 KiB together. Beyond 128
// signals the weakest goes.
package respond
