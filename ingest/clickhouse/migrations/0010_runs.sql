-- What was committed to of an incident's scope: the run's document and the bytes that its
-- statements' salts follow from.
CREATE TABLE IF NOT EXISTS proof_runs
(
    `id` String,
    `time` DateTime64(3, 'UTC'),
    `body` String CODEC(ZSTD(3)),
    `seed` String CODEC(NONE)
)
ENGINE = ReplacingMergeTree
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
