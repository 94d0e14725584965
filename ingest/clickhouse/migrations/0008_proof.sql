-- What the log of proof keeps beside the rows. A batch's seed makes its rows' salts; where
-- rows were taken away by right, salts of those that stay replace it. Of several rows of
-- one batch the newest version holds. Seeds cannot be made again, so they are on disk
-- before an insert is acknowledged.
CREATE TABLE IF NOT EXISTS proof_batches
(
    `topic` LowCardinality(String),
    `partition` Int32,
    `seq` Int64,
    `version` UInt64,
    `log_id` LowCardinality(String),
    `from` Int64,
    `to` Int64,
    `first` DateTime64(3, 'UTC'),
    `last` DateTime64(3, 'UTC'),
    `offsets` String CODEC(ZSTD(1)),
    `commitments` String CODEC(NONE),
    `seed` String CODEC(NONE),
    `salts` String CODEC(ZSTD(1)),
    `id` String CODEC(ZSTD(1)),
    `time` DateTime64(3, 'UTC'),
    INDEX by_from `from` TYPE minmax GRANULARITY 1,
    INDEX by_to `to` TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY (topic, toYYYYMM(first))
ORDER BY (topic, partition, seq)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0
;
-- The leaves of the log of proof, as they stand in its tiles.
CREATE TABLE IF NOT EXISTS proof_log
(
    `leaf` Int64,
    `kind` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `seq` Int64,
    `body` String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY leaf
;
-- Rows that were taken away by right, each with its commitment, which says nothing
-- without its salt.
CREATE TABLE IF NOT EXISTS proof_removals
(
    `removal` String,
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `arrival` DateTime64(3, 'UTC'),
    `commitment` String CODEC(NONE)
)
ENGINE = ReplacingMergeTree
PARTITION BY topic
ORDER BY (topic, partition, offset, log_id, removal)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
