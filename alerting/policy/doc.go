// Package policy turns signals into verdicts. A policy file (YAML) names
// conditions over the signals of one entity and the verdict that follows; Parse
// checks all of it before anything runs and reports every mistake with its line,
// its column and how to fix it. What was parsed is immutable and pure: the same
// signals always give the same answer, no clock is read and nothing is kept.
//
// A condition is an expression of github.com/expr-lang/expr and must be a bool.
// It sees:
//
//	entity      .kind .id .plan .protected
//	signals     the signals in the policy's window, oldest first; each has
//	            .detector .family .severity .score .level .certain .observed
//	            .expected .threshold .unit .credential .alone (the account has
//	            other credentials that send, with nothing unusual) .age (seconds before the newest one)
//	family      .volume .network .identity .credential .reputation .insider
//	            .source: the highest severity of that family's signals, none
//	            where there is no such signal
//	families    how many different families there are
//	certain     whether one of the signals is certain by itself
//	alone       whether one credential is the guilty one: all signals that name one
//	            name it, the others do as always, and nobody signed in
//	severity    the highest severity of all
//	risk        how sure all of them together are, 0 to below 1: each family's
//	            strongest score, halved with each day of age (see Risk)
//	history     .stops .releases .probation: what people and policies did before
//	none low medium high critical   the severities, in that order
//
// Conditions should ask for "at least": one that becomes false when a signal is
// added makes the decisions depend on the order in which signals arrive.
package policy
