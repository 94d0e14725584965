// Package proof keeps the log of proof: a Merkle tree over everything that the journals
// held, whose signed checkpoints are sent where whoever runs Holdfast cannot reach them,
// so that a row of the audit store which was changed, added or taken away is found and
// named.
//
// A leaf is a record of the topic "proof", byte for byte: the tree is a function of that
// topic alone. Most leaves are batches: a stretch of offsets of one partition of one
// journal, with the Merkle root over the commitments to its rows. Decisions, actions,
// notices, cases, people's acts and gaps have a leaf each; events, signals and rejected
// records one for every 4,096 offsets and minute of arrival. Where a batch ends follows
// from the journal. A commitment is HMAC-SHA-256(salt, row), see clickhouse.Canonical;
// salts follow from 32 random bytes of the batch, which are kept beside its rows (table
// proof_batches) and nowhere else. Erasing rows replaces these bytes by the salts of the
// rows that stay: what was erased can no longer be told from its commitment, and all
// other proofs hold.
//
// Order of writing: salts, then the leaf, then the tree's tiles, then its checkpoint. A
// crash in between leaves a salt that nobody refers to, or a tree that is brought up to
// date from the topic.
//
// It promises that a leaf, once in the topic, stays at its place; that a batch covers
// exactly what its partition held there; that no checkpoint is signed that contradicts
// the last one in its folder. It never changes a journal. It counts batches, rows,
// leaves, checkpoints and failures to send them.
package proof
