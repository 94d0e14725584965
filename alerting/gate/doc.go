// Package gate is the brake: one lane's pure function of the proposals topic. It
// counts automatic stops in event time and answers each proposal go or braked, to
// the inbox of the entity that it is about. More than 20 stops within 10 minutes,
// or more than max(20, 0.1 % of the accounts active in 7 days) within an hour, trip
// it; from then on every answer is braked, the first one pages, and only a person
// releases it. A braked entity stays throttled and is reviewed, so that decoys
// cannot switch protection off.
//
// A proposal that comes twice is answered alike and counted once; the last 4,096
// answers are remembered. The fold reads no clock and does no I/O. Its state is one
// value below 128 KiB: 512 times of stops, 4,096 answers, seven sketches.
package gate
