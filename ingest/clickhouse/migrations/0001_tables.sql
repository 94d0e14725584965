-- The tables as schemas declares them. A released step is never changed: add the next one.
CREATE TABLE IF NOT EXISTS events
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `arrival` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `entity` String CODEC(ZSTD(1)),
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `type` LowCardinality(String),
    `id` String CODEC(ZSTD(1)),
    `time` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `account` String,
    `credential` String,
    `channel` LowCardinality(String),
    `ip` Nullable(IPv6),
    `sender` String,
    `recipients` Array(String) CODEC(ZSTD(1)),
    `recipient_count` Int64,
    `message_id` String CODEC(ZSTD(1)),
    `size` Int64,
    `test` Bool,
    `recipient` String CODEC(ZSTD(1)),
    `outcome` LowCardinality(String),
    `reason` String,
    `employee` String,
    `user` String,
    `method` String,
    `user_agent` String,
    `session` String,
    `kind` LowCardinality(String),
    `change` LowCardinality(String),
    `actor` LowCardinality(String),
    `action` LowCardinality(String),
    `accounts` Array(String),
    `resource` String,
    `rows` Int64,
    `ticket` String,
    `state` LowCardinality(String),
    `protocol` String,
    `duration_ms` Int64,
    `bytes` Int64,
    `status` String,
    `plan` String,
    `created` Int64,
    `parent` String,
    `users` Array(String),
    `domains` Array(String),
    `credentials_id` Array(String),
    `credentials_kind` Array(String),
    `credentials_created` Array(Int64),
    `contacts_email` Array(String),
    `contacts_role` Array(String),
    `protected` Bool,
    `extra` String,
    INDEX by_account `account` TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_ip `ip` TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_employee `employee` TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_accounts `accounts` TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_network tupleElement(IPv6CIDRToRange(assumeNotNull(ip), 64), 1) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (`entity`, `time`, `log_id`, `topic`, `partition`, `offset`)
TTL toDateTime(arrival) + toIntervalDay(400)
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1
;
CREATE TABLE IF NOT EXISTS events_twin
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `arrival` DateTime64(3, 'UTC'),
    `entity` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `type` LowCardinality(String),
    `id` String,
    `time` DateTime64(3, 'UTC'),
    `account` String,
    `credential` String,
    `channel` LowCardinality(String),
    `ip` Nullable(IPv6),
    `sender` String,
    `recipients` Array(String),
    `recipient_count` Int64,
    `message_id` String,
    `size` Int64,
    `test` Bool,
    `recipient` String,
    `outcome` LowCardinality(String),
    `reason` String,
    `employee` String,
    `user` String,
    `method` String,
    `user_agent` String,
    `session` String,
    `kind` LowCardinality(String),
    `change` LowCardinality(String),
    `actor` LowCardinality(String),
    `action` LowCardinality(String),
    `accounts` Array(String),
    `resource` String,
    `rows` Int64,
    `ticket` String,
    `state` LowCardinality(String),
    `protocol` String,
    `duration_ms` Int64,
    `bytes` Int64,
    `status` String,
    `plan` String,
    `created` Int64,
    `parent` String,
    `users` Array(String),
    `domains` Array(String),
    `credentials_id` Array(String),
    `credentials_kind` Array(String),
    `credentials_created` Array(Int64),
    `contacts_email` Array(String),
    `contacts_role` Array(String),
    `protected` Bool,
    `extra` String
)
ENGINE = Null
;
CREATE TABLE IF NOT EXISTS inbox
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `arrival` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `kind` LowCardinality(String),
    `id` String CODEC(ZSTD(1)),
    `time` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `entity` String CODEC(ZSTD(1)),
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `detector` LowCardinality(String),
    `family` LowCardinality(String),
    `severity` LowCardinality(String),
    `level` Int32,
    `score` Float64,
    `act` LowCardinality(String),
    `actor` String,
    `decision` String,
    `body` String CODEC(ZSTD(3)),
    INDEX by_account `account` TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (`entity`, `time`, `log_id`, `topic`, `partition`, `offset`)
TTL toDateTime(arrival) + toIntervalDay(400)
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1
;
CREATE TABLE IF NOT EXISTS inbox_twin
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `arrival` DateTime64(3, 'UTC'),
    `kind` LowCardinality(String),
    `id` String,
    `time` DateTime64(3, 'UTC'),
    `entity` String,
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `detector` LowCardinality(String),
    `family` LowCardinality(String),
    `severity` LowCardinality(String),
    `level` Int32,
    `score` Float64,
    `act` LowCardinality(String),
    `actor` String,
    `decision` String,
    `body` String
)
ENGINE = Null
;
CREATE VIEW IF NOT EXISTS signals AS
SELECT log_id, topic, partition, offset, arrival, id, time, entity, account, source, origin, detector, family, level, score, severity,
    JSONExtractString(body, 'technique') AS technique,
    JSONExtractBool(body, 'certain') AS certain,
    JSONExtractString(body, 'trigger') AS trigger,
    JSONExtractString(body, 'credential') AS credential,
    JSONExtractFloat(body, 'evidence', 'observed') AS observed,
    JSONExtractFloat(body, 'evidence', 'expected') AS expected,
    JSONExtractFloat(body, 'evidence', 'threshold') AS threshold,
    JSONExtractString(body, 'evidence', 'unit') AS unit,
    JSONExtractString(body, 'evidence', 'window') AS window,
    JSONExtractString(body, 'evidence', 'text') AS text,
    body
FROM inbox WHERE kind = 'signal'
;
CREATE TABLE IF NOT EXISTS decisions
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `arrival` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `kind` LowCardinality(String),
    `id` String CODEC(ZSTD(1)),
    `time` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `entity` String CODEC(ZSTD(1)),
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `verdict` LowCardinality(String),
    `proposed` LowCardinality(String),
    `policy` LowCardinality(String),
    `policy_version` Int32,
    `mode` LowCardinality(String),
    `episode` Int32,
    `score` Float64,
    `braked` Bool,
    `by` String,
    `signals` Array(String),
    `body` String CODEC(ZSTD(3)),
    INDEX by_account `account` TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (`entity`, `time`, `log_id`, `topic`, `partition`, `offset`)
TTL toDateTime(arrival) + toIntervalDay(1200)
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1
;
CREATE TABLE IF NOT EXISTS decisions_twin
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `arrival` DateTime64(3, 'UTC'),
    `kind` LowCardinality(String),
    `id` String,
    `time` DateTime64(3, 'UTC'),
    `entity` String,
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `verdict` LowCardinality(String),
    `proposed` LowCardinality(String),
    `policy` LowCardinality(String),
    `policy_version` Int32,
    `mode` LowCardinality(String),
    `episode` Int32,
    `score` Float64,
    `braked` Bool,
    `by` String,
    `signals` Array(String),
    `body` String
)
ENGINE = Null
;
CREATE TABLE IF NOT EXISTS actions
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `arrival` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `kind` LowCardinality(String),
    `id` String CODEC(ZSTD(1)),
    `time` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `entity` String CODEC(ZSTD(1)),
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `decision` String,
    `verdict` LowCardinality(String),
    `channel` LowCardinality(String),
    `target` String,
    `outcome` LowCardinality(String),
    `attempts` Int32,
    `body` String CODEC(ZSTD(3)),
    INDEX by_account `account` TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (`entity`, `time`, `log_id`, `topic`, `partition`, `offset`)
TTL toDateTime(arrival) + toIntervalDay(1200)
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1
;
CREATE TABLE IF NOT EXISTS actions_twin
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `arrival` DateTime64(3, 'UTC'),
    `kind` LowCardinality(String),
    `id` String,
    `time` DateTime64(3, 'UTC'),
    `entity` String,
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `decision` String,
    `verdict` LowCardinality(String),
    `channel` LowCardinality(String),
    `target` String,
    `outcome` LowCardinality(String),
    `attempts` Int32,
    `body` String
)
ENGINE = Null
;
CREATE TABLE IF NOT EXISTS notices
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `arrival` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `kind` LowCardinality(String),
    `id` String CODEC(ZSTD(1)),
    `time` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `entity` String CODEC(ZSTD(1)),
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `decision` String,
    `audience` LowCardinality(String),
    `channel` LowCardinality(String),
    `to` String,
    `outcome` LowCardinality(String),
    `attempts` Int32,
    `body` String CODEC(ZSTD(3)),
    INDEX by_account `account` TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (`entity`, `time`, `log_id`, `topic`, `partition`, `offset`)
TTL toDateTime(arrival) + toIntervalDay(1200)
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1
;
CREATE TABLE IF NOT EXISTS notices_twin
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `arrival` DateTime64(3, 'UTC'),
    `kind` LowCardinality(String),
    `id` String,
    `time` DateTime64(3, 'UTC'),
    `entity` String,
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `decision` String,
    `audience` LowCardinality(String),
    `channel` LowCardinality(String),
    `to` String,
    `outcome` LowCardinality(String),
    `attempts` Int32,
    `body` String
)
ENGINE = Null
;
CREATE TABLE IF NOT EXISTS cases
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `arrival` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `kind` LowCardinality(String),
    `id` String CODEC(ZSTD(1)),
    `time` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `entity` String CODEC(ZSTD(1)),
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `episode` Int32,
    `state` LowCardinality(String),
    `by` String,
    `body` String CODEC(ZSTD(3)),
    INDEX by_account `account` TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (`entity`, `time`, `log_id`, `topic`, `partition`, `offset`)
TTL toDateTime(arrival) + toIntervalDay(1200)
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1
;
CREATE TABLE IF NOT EXISTS cases_twin
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `arrival` DateTime64(3, 'UTC'),
    `kind` LowCardinality(String),
    `id` String,
    `time` DateTime64(3, 'UTC'),
    `entity` String,
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `episode` Int32,
    `state` LowCardinality(String),
    `by` String,
    `body` String
)
ENGINE = Null
;
CREATE TABLE IF NOT EXISTS operator
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `arrival` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `kind` LowCardinality(String),
    `id` String CODEC(ZSTD(1)),
    `time` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `entity` String CODEC(ZSTD(1)),
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `actor` String,
    `act` LowCardinality(String),
    `why` String,
    `refused` String,
    `body` String CODEC(ZSTD(3)),
    INDEX by_account `account` TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (`entity`, `time`, `log_id`, `topic`, `partition`, `offset`)
TTL toDateTime(arrival) + toIntervalDay(1200)
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1
;
CREATE TABLE IF NOT EXISTS operator_twin
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `arrival` DateTime64(3, 'UTC'),
    `kind` LowCardinality(String),
    `id` String,
    `time` DateTime64(3, 'UTC'),
    `entity` String,
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `actor` String,
    `act` LowCardinality(String),
    `why` String,
    `refused` String,
    `body` String
)
ENGINE = Null
;
CREATE TABLE IF NOT EXISTS gaps
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `arrival` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `kind` LowCardinality(String),
    `id` String CODEC(ZSTD(1)),
    `time` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `entity` String CODEC(ZSTD(1)),
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `gap_topic` LowCardinality(String),
    `gap_partition` Int32,
    `gap_from` Int64,
    `gap_to` Int64,
    `reason` String,
    `body` String CODEC(ZSTD(3)),
    INDEX by_account `account` TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (`time`, `log_id`, `topic`, `partition`, `offset`)
TTL toDateTime(arrival) + toIntervalDay(1200)
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1
;
CREATE TABLE IF NOT EXISTS gaps_twin
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `arrival` DateTime64(3, 'UTC'),
    `kind` LowCardinality(String),
    `id` String,
    `time` DateTime64(3, 'UTC'),
    `entity` String,
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `gap_topic` LowCardinality(String),
    `gap_partition` Int32,
    `gap_from` Int64,
    `gap_to` Int64,
    `reason` String,
    `body` String
)
ENGINE = Null
;
CREATE TABLE IF NOT EXISTS rejected
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `arrival` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `kind` LowCardinality(String),
    `id` String CODEC(ZSTD(1)),
    `time` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `entity` String CODEC(ZSTD(1)),
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `rejected_topic` String,
    `rejected_partition` Int32,
    `rejected_offset` Int64,
    `reason` LowCardinality(String),
    `detail` String,
    `size` Int64,
    `sha256` String,
    `body` String CODEC(ZSTD(3)),
    INDEX by_account `account` TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (`time`, `log_id`, `topic`, `partition`, `offset`)
TTL toDateTime(arrival) + toIntervalDay(400)
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1
;
CREATE TABLE IF NOT EXISTS rejected_twin
(
    `log_id` LowCardinality(String),
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `arrival` DateTime64(3, 'UTC'),
    `kind` LowCardinality(String),
    `id` String,
    `time` DateTime64(3, 'UTC'),
    `entity` String,
    `account` String,
    `source` LowCardinality(String),
    `origin` LowCardinality(String),
    `rejected_topic` String,
    `rejected_partition` Int32,
    `rejected_offset` Int64,
    `reason` LowCardinality(String),
    `detail` String,
    `size` Int64,
    `sha256` String,
    `body` String
)
ENGINE = Null
;
