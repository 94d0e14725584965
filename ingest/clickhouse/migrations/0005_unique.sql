-- Views that show each record once, however often it was sent or written.
CREATE OR REPLACE VIEW events_unique AS
SELECT
    any_respect_nulls(t.`log_id`) AS `log_id`,
    any_respect_nulls(t.`topic`) AS `topic`,
    any_respect_nulls(t.`partition`) AS `partition`,
    any_respect_nulls(t.`offset`) AS `offset`,
    any_respect_nulls(t.`arrival`) AS `arrival`,
    t.`entity` AS `entity`,
    t.`source` AS `source`,
    any_respect_nulls(t.`origin`) AS `origin`,
    t.`type` AS `type`,
    t.`id` AS `id`,
    t.`time` AS `time`,
    t.`account` AS `account`,
    any_respect_nulls(t.`credential`) AS `credential`,
    any_respect_nulls(t.`channel`) AS `channel`,
    any_respect_nulls(t.`ip`) AS `ip`,
    any_respect_nulls(t.`sender`) AS `sender`,
    any_respect_nulls(t.`recipients`) AS `recipients`,
    any_respect_nulls(t.`recipient_count`) AS `recipient_count`,
    any_respect_nulls(t.`message_id`) AS `message_id`,
    any_respect_nulls(t.`size`) AS `size`,
    any_respect_nulls(t.`test`) AS `test`,
    any_respect_nulls(t.`recipient`) AS `recipient`,
    any_respect_nulls(t.`outcome`) AS `outcome`,
    any_respect_nulls(t.`reason`) AS `reason`,
    t.`employee` AS `employee`,
    any_respect_nulls(t.`user`) AS `user`,
    any_respect_nulls(t.`method`) AS `method`,
    any_respect_nulls(t.`user_agent`) AS `user_agent`,
    any_respect_nulls(t.`session`) AS `session`,
    any_respect_nulls(t.`kind`) AS `kind`,
    any_respect_nulls(t.`change`) AS `change`,
    any_respect_nulls(t.`actor`) AS `actor`,
    any_respect_nulls(t.`action`) AS `action`,
    any_respect_nulls(t.`accounts`) AS `accounts`,
    any_respect_nulls(t.`resource`) AS `resource`,
    any_respect_nulls(t.`rows`) AS `rows`,
    any_respect_nulls(t.`ticket`) AS `ticket`,
    any_respect_nulls(t.`state`) AS `state`,
    any_respect_nulls(t.`protocol`) AS `protocol`,
    any_respect_nulls(t.`duration_ms`) AS `duration_ms`,
    any_respect_nulls(t.`bytes`) AS `bytes`,
    any_respect_nulls(t.`status`) AS `status`,
    any_respect_nulls(t.`plan`) AS `plan`,
    any_respect_nulls(t.`created`) AS `created`,
    any_respect_nulls(t.`parent`) AS `parent`,
    any_respect_nulls(t.`users`) AS `users`,
    any_respect_nulls(t.`domains`) AS `domains`,
    any_respect_nulls(t.`credentials_id`) AS `credentials_id`,
    any_respect_nulls(t.`credentials_kind`) AS `credentials_kind`,
    any_respect_nulls(t.`credentials_created`) AS `credentials_created`,
    any_respect_nulls(t.`contacts_email`) AS `contacts_email`,
    any_respect_nulls(t.`contacts_role`) AS `contacts_role`,
    any_respect_nulls(t.`protected`) AS `protected`,
    any_respect_nulls(t.`extra`) AS `extra`,
    any_respect_nulls(t.`country`) AS `country`,
    any_respect_nulls(t.`city`) AS `city`,
    any_respect_nulls(t.`asn`) AS `asn`,
    any_respect_nulls(t.`hosting`) AS `hosting`,
    any_respect_nulls(t.`vpn`) AS `vpn`,
    any_respect_nulls(t.`located`) AS `located`,
    any_respect_nulls(t.`latitude`) AS `latitude`,
    any_respect_nulls(t.`longitude`) AS `longitude`,
    count() AS copies
FROM events AS t
GROUP BY t.entity, t.account, t.employee, t.type, t.time, t.source, t.id
;
CREATE OR REPLACE VIEW inbox_unique AS
SELECT
    argMax(t.`log_id`, (t.arrival, t.offset)) AS `log_id`,
    argMax(t.`topic`, (t.arrival, t.offset)) AS `topic`,
    argMax(t.`partition`, (t.arrival, t.offset)) AS `partition`,
    argMax(t.`offset`, (t.arrival, t.offset)) AS `offset`,
    argMax(t.`arrival`, (t.arrival, t.offset)) AS `arrival`,
    t.`kind` AS `kind`,
    t.`id` AS `id`,
    argMax(t.`time`, (t.arrival, t.offset)) AS `time`,
    t.`entity` AS `entity`,
    t.`account` AS `account`,
    argMax(t.`source`, (t.arrival, t.offset)) AS `source`,
    argMax(t.`origin`, (t.arrival, t.offset)) AS `origin`,
    argMax(t.`detector`, (t.arrival, t.offset)) AS `detector`,
    argMax(t.`family`, (t.arrival, t.offset)) AS `family`,
    argMax(t.`severity`, (t.arrival, t.offset)) AS `severity`,
    argMax(t.`level`, (t.arrival, t.offset)) AS `level`,
    argMax(t.`score`, (t.arrival, t.offset)) AS `score`,
    argMax(t.`act`, (t.arrival, t.offset)) AS `act`,
    argMax(t.`actor`, (t.arrival, t.offset)) AS `actor`,
    argMax(t.`decision`, (t.arrival, t.offset)) AS `decision`,
    argMax(t.`trial`, (t.arrival, t.offset)) AS `trial`,
    argMax(t.`body`, (t.arrival, t.offset)) AS `body`,
    count() AS copies
FROM inbox AS t
GROUP BY t.entity, t.account, t.kind, t.id
;
CREATE OR REPLACE VIEW signals AS
SELECT log_id, topic, partition, offset, arrival, id, time, entity, account, source, origin, detector, family, level, score, severity,
    if(kind = 'trial', 'shadow', 'live') AS mode, trial,
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
    body, copies
FROM inbox_unique WHERE kind IN ('signal', 'trial')
;
CREATE OR REPLACE VIEW decisions_unique AS
SELECT
    argMax(t.`log_id`, (t.arrival, t.offset)) AS `log_id`,
    argMax(t.`topic`, (t.arrival, t.offset)) AS `topic`,
    argMax(t.`partition`, (t.arrival, t.offset)) AS `partition`,
    argMax(t.`offset`, (t.arrival, t.offset)) AS `offset`,
    argMax(t.`arrival`, (t.arrival, t.offset)) AS `arrival`,
    t.`kind` AS `kind`,
    t.`id` AS `id`,
    argMax(t.`time`, (t.arrival, t.offset)) AS `time`,
    t.`entity` AS `entity`,
    t.`account` AS `account`,
    argMax(t.`source`, (t.arrival, t.offset)) AS `source`,
    argMax(t.`origin`, (t.arrival, t.offset)) AS `origin`,
    argMax(t.`verdict`, (t.arrival, t.offset)) AS `verdict`,
    argMax(t.`proposed`, (t.arrival, t.offset)) AS `proposed`,
    argMax(t.`policy`, (t.arrival, t.offset)) AS `policy`,
    argMax(t.`policy_version`, (t.arrival, t.offset)) AS `policy_version`,
    argMax(t.`mode`, (t.arrival, t.offset)) AS `mode`,
    argMax(t.`episode`, (t.arrival, t.offset)) AS `episode`,
    argMax(t.`score`, (t.arrival, t.offset)) AS `score`,
    argMax(t.`braked`, (t.arrival, t.offset)) AS `braked`,
    argMax(t.`by`, (t.arrival, t.offset)) AS `by`,
    argMax(t.`signals`, (t.arrival, t.offset)) AS `signals`,
    argMax(t.`shares`, (t.arrival, t.offset)) AS `shares`,
    argMax(t.`trial`, (t.arrival, t.offset)) AS `trial`,
    argMax(t.`body`, (t.arrival, t.offset)) AS `body`,
    count() AS copies
FROM decisions AS t
GROUP BY t.entity, t.account, t.kind, t.id
;
CREATE OR REPLACE VIEW actions_unique AS
SELECT
    argMax(t.`log_id`, (t.arrival, t.offset)) AS `log_id`,
    argMax(t.`topic`, (t.arrival, t.offset)) AS `topic`,
    argMax(t.`partition`, (t.arrival, t.offset)) AS `partition`,
    argMax(t.`offset`, (t.arrival, t.offset)) AS `offset`,
    argMax(t.`arrival`, (t.arrival, t.offset)) AS `arrival`,
    t.`kind` AS `kind`,
    t.`id` AS `id`,
    argMax(t.`time`, (t.arrival, t.offset)) AS `time`,
    t.`entity` AS `entity`,
    t.`account` AS `account`,
    argMax(t.`source`, (t.arrival, t.offset)) AS `source`,
    argMax(t.`origin`, (t.arrival, t.offset)) AS `origin`,
    argMax(t.`decision`, (t.arrival, t.offset)) AS `decision`,
    argMax(t.`verdict`, (t.arrival, t.offset)) AS `verdict`,
    argMax(t.`channel`, (t.arrival, t.offset)) AS `channel`,
    argMax(t.`target`, (t.arrival, t.offset)) AS `target`,
    argMax(t.`outcome`, (t.arrival, t.offset)) AS `outcome`,
    argMax(t.`attempts`, (t.arrival, t.offset)) AS `attempts`,
    argMax(t.`body`, (t.arrival, t.offset)) AS `body`,
    count() AS copies
FROM actions AS t
GROUP BY t.entity, t.account, t.kind, t.id
;
CREATE OR REPLACE VIEW notices_unique AS
SELECT
    argMax(t.`log_id`, (t.arrival, t.offset)) AS `log_id`,
    argMax(t.`topic`, (t.arrival, t.offset)) AS `topic`,
    argMax(t.`partition`, (t.arrival, t.offset)) AS `partition`,
    argMax(t.`offset`, (t.arrival, t.offset)) AS `offset`,
    argMax(t.`arrival`, (t.arrival, t.offset)) AS `arrival`,
    t.`kind` AS `kind`,
    t.`id` AS `id`,
    argMax(t.`time`, (t.arrival, t.offset)) AS `time`,
    t.`entity` AS `entity`,
    t.`account` AS `account`,
    argMax(t.`source`, (t.arrival, t.offset)) AS `source`,
    argMax(t.`origin`, (t.arrival, t.offset)) AS `origin`,
    argMax(t.`decision`, (t.arrival, t.offset)) AS `decision`,
    argMax(t.`audience`, (t.arrival, t.offset)) AS `audience`,
    argMax(t.`channel`, (t.arrival, t.offset)) AS `channel`,
    argMax(t.`to`, (t.arrival, t.offset)) AS `to`,
    argMax(t.`outcome`, (t.arrival, t.offset)) AS `outcome`,
    argMax(t.`attempts`, (t.arrival, t.offset)) AS `attempts`,
    argMax(t.`body`, (t.arrival, t.offset)) AS `body`,
    count() AS copies
FROM notices AS t
GROUP BY t.entity, t.account, t.kind, t.id
;
CREATE OR REPLACE VIEW cases_unique AS
SELECT
    argMax(t.`log_id`, (t.arrival, t.offset)) AS `log_id`,
    argMax(t.`topic`, (t.arrival, t.offset)) AS `topic`,
    argMax(t.`partition`, (t.arrival, t.offset)) AS `partition`,
    argMax(t.`offset`, (t.arrival, t.offset)) AS `offset`,
    argMax(t.`arrival`, (t.arrival, t.offset)) AS `arrival`,
    t.`kind` AS `kind`,
    t.`id` AS `id`,
    argMax(t.`time`, (t.arrival, t.offset)) AS `time`,
    t.`entity` AS `entity`,
    t.`account` AS `account`,
    argMax(t.`source`, (t.arrival, t.offset)) AS `source`,
    argMax(t.`origin`, (t.arrival, t.offset)) AS `origin`,
    argMax(t.`episode`, (t.arrival, t.offset)) AS `episode`,
    argMax(t.`state`, (t.arrival, t.offset)) AS `state`,
    argMax(t.`by`, (t.arrival, t.offset)) AS `by`,
    argMax(t.`body`, (t.arrival, t.offset)) AS `body`,
    count() AS copies
FROM cases AS t
GROUP BY t.entity, t.account, t.kind, t.id
;
CREATE OR REPLACE VIEW operator_unique AS
SELECT
    argMax(t.`log_id`, (t.arrival, t.offset)) AS `log_id`,
    argMax(t.`topic`, (t.arrival, t.offset)) AS `topic`,
    argMax(t.`partition`, (t.arrival, t.offset)) AS `partition`,
    argMax(t.`offset`, (t.arrival, t.offset)) AS `offset`,
    argMax(t.`arrival`, (t.arrival, t.offset)) AS `arrival`,
    t.`kind` AS `kind`,
    t.`id` AS `id`,
    argMax(t.`time`, (t.arrival, t.offset)) AS `time`,
    t.`entity` AS `entity`,
    t.`account` AS `account`,
    argMax(t.`source`, (t.arrival, t.offset)) AS `source`,
    argMax(t.`origin`, (t.arrival, t.offset)) AS `origin`,
    argMax(t.`actor`, (t.arrival, t.offset)) AS `actor`,
    argMax(t.`act`, (t.arrival, t.offset)) AS `act`,
    argMax(t.`why`, (t.arrival, t.offset)) AS `why`,
    argMax(t.`refused`, (t.arrival, t.offset)) AS `refused`,
    argMax(t.`body`, (t.arrival, t.offset)) AS `body`,
    count() AS copies
FROM operator AS t
GROUP BY t.entity, t.account, t.kind, t.id
;
CREATE OR REPLACE VIEW gaps_unique AS
SELECT
    argMax(t.`log_id`, (t.arrival, t.offset)) AS `log_id`,
    argMax(t.`topic`, (t.arrival, t.offset)) AS `topic`,
    argMax(t.`partition`, (t.arrival, t.offset)) AS `partition`,
    argMax(t.`offset`, (t.arrival, t.offset)) AS `offset`,
    argMax(t.`arrival`, (t.arrival, t.offset)) AS `arrival`,
    t.`kind` AS `kind`,
    t.`id` AS `id`,
    argMax(t.`time`, (t.arrival, t.offset)) AS `time`,
    t.`entity` AS `entity`,
    t.`account` AS `account`,
    argMax(t.`source`, (t.arrival, t.offset)) AS `source`,
    argMax(t.`origin`, (t.arrival, t.offset)) AS `origin`,
    argMax(t.`gap_topic`, (t.arrival, t.offset)) AS `gap_topic`,
    argMax(t.`gap_partition`, (t.arrival, t.offset)) AS `gap_partition`,
    argMax(t.`gap_from`, (t.arrival, t.offset)) AS `gap_from`,
    argMax(t.`gap_to`, (t.arrival, t.offset)) AS `gap_to`,
    argMax(t.`reason`, (t.arrival, t.offset)) AS `reason`,
    argMax(t.`body`, (t.arrival, t.offset)) AS `body`,
    count() AS copies
FROM gaps AS t
GROUP BY t.entity, t.account, t.kind, t.id
;
CREATE OR REPLACE VIEW rejected_unique AS
SELECT
    argMax(t.`log_id`, (t.arrival, t.offset)) AS `log_id`,
    argMax(t.`topic`, (t.arrival, t.offset)) AS `topic`,
    argMax(t.`partition`, (t.arrival, t.offset)) AS `partition`,
    argMax(t.`offset`, (t.arrival, t.offset)) AS `offset`,
    argMax(t.`arrival`, (t.arrival, t.offset)) AS `arrival`,
    t.`kind` AS `kind`,
    t.`id` AS `id`,
    argMax(t.`time`, (t.arrival, t.offset)) AS `time`,
    t.`entity` AS `entity`,
    t.`account` AS `account`,
    argMax(t.`source`, (t.arrival, t.offset)) AS `source`,
    argMax(t.`origin`, (t.arrival, t.offset)) AS `origin`,
    argMax(t.`rejected_topic`, (t.arrival, t.offset)) AS `rejected_topic`,
    argMax(t.`rejected_partition`, (t.arrival, t.offset)) AS `rejected_partition`,
    argMax(t.`rejected_offset`, (t.arrival, t.offset)) AS `rejected_offset`,
    argMax(t.`reason`, (t.arrival, t.offset)) AS `reason`,
    argMax(t.`detail`, (t.arrival, t.offset)) AS `detail`,
    argMax(t.`size`, (t.arrival, t.offset)) AS `size`,
    argMax(t.`sha256`, (t.arrival, t.offset)) AS `sha256`,
    argMax(t.`body`, (t.arrival, t.offset)) AS `body`,
    count() AS copies
FROM rejected AS t
GROUP BY t.entity, t.account, t.kind, t.id
;
