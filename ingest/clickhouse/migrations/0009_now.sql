-- Views of what holds now: each entity's status and newest decision, and each case.
CREATE OR REPLACE VIEW standing AS
SELECT
    `entity`,
    splitByChar(':', entity)[1] AS `kind`,
    `account`,
    JSONExtractString(now, 'status') AS `status`,
    JSONExtractString(now, 'verdict') AS `verdict`,
    JSONExtractInt(now, 'episode') AS `episode`,
    JSONExtractInt(now, 'step') AS `step`,
    parseDateTime64BestEffortOrNull(JSONExtractString(now, 'since'), 3, 'UTC') AS `since`,
    parseDateTime64BestEffortOrNull(JSONExtractString(now, 'until'), 3, 'UTC') AS `until`,
    JSONExtractString(now, 'by') AS `by`,
    `policy`,
    `policy_version`,
    JSONExtractString(now, 'decision') AS `decision`,
    JSONExtractString(now, 'case') AS `case`,
    JSONExtractString(now, 'reason') AS `reason`,
    JSONExtract(now, 'revoked', 'Array(String)') AS `revoked`,
    JSONExtractInt(now, 'per_day') AS `per_day`
FROM
(
    SELECT entity, tupleElement(last, 1) AS account, tupleElement(last, 2) AS policy, tupleElement(last, 3) AS policy_version, tupleElement(last, 4) AS now
    FROM
    (
        SELECT entity, argMax((account, policy, policy_version, status), (JSONExtractInt(status, 'episode'), JSONExtractInt(status, 'step'), arrival, offset)) AS last
        FROM (SELECT entity, account, policy, policy_version, arrival, offset, JSONExtractRaw(body, 'status') AS status FROM decisions WHERE kind = 'decision' AND mode = 'live' AND trial = '' AND JSONHas(body, 'status'))
        GROUP BY entity
    )
)
;
CREATE OR REPLACE VIEW decisions_now AS
SELECT
    `entity`,
    splitByChar(':', entity)[1] AS `kind`,
    JSONExtractString(body, 'account') AS `account`,
    `id`,
    `time`,
    `arrival`,
    JSONExtractString(body, 'verdict') AS `verdict`,
    JSONExtractString(body, 'proposed') AS `proposed`,
    JSONExtractString(body, 'policy') AS `policy`,
    JSONExtractInt(body, 'policy_version') AS `policy_version`,
    JSONExtractInt(body, 'episode') AS `episode`,
    JSONExtractFloat(body, 'score') AS `score`,
    toBool(JSONExtractBool(body, 'braked')) AS `braked`,
    JSONExtractString(body, 'by') AS `by`,
    JSONExtract(body, 'signals', 'Array(String)') AS `signals`,
    JSONExtractString(body, 'reason') AS `reason`,
    JSONExtractString(body, 'severity') AS `severity`,
    JSONExtractString(body, 'case') AS `case`
FROM
(
    SELECT entity, tupleElement(last, 1) AS id, tupleElement(last, 2) AS time, tupleElement(last, 3) AS arrival, tupleElement(last, 4) AS body
    FROM
    (
        SELECT d.entity AS entity, argMax((d.id, d.time, d.arrival, d.body), (d.time, d.arrival, d.offset)) AS last
        FROM decisions AS d
        WHERE d.kind = 'decision' AND d.mode = 'live' AND d.trial = '' AND d.verdict != 'observe'
        GROUP BY d.entity
    )
)
;
CREATE OR REPLACE VIEW cases_now AS
SELECT
    `id`,
    `entity`,
    splitByChar(':', entity)[1] AS `kind`,
    JSONExtractString(body, 'account') AS `account`,
    JSONExtractInt(body, 'episode') AS `episode`,
    JSONExtractInt(body, 'version') AS `version`,
    parseDateTime64BestEffortOrNull(JSONExtractString(body, 'time'), 3, 'UTC') AS `time`,
    JSONExtractString(body, 'state') AS `stage`,
    parseDateTime64BestEffortOrNull(JSONExtractString(body, 'due'), 3, 'UTC') AS `due`,
    if(JSONExtractString(body, 'verdict') = '', 'undetermined', JSONExtractString(body, 'verdict')) AS `verdict`,
    JSONExtractString(body, 'reason') AS `reason`,
    JSONExtractString(body, 'owner') AS `owner`,
    parseDateTime64BestEffortOrNull(JSONExtractString(body, 'opened'), 3, 'UTC') AS `opened`,
    parseDateTime64BestEffortOrNull(JSONExtractString(body, 'contained'), 3, 'UTC') AS `contained`,
    parseDateTime64BestEffortOrNull(JSONExtractString(body, 'released'), 3, 'UTC') AS `released`,
    parseDateTime64BestEffortOrNull(JSONExtractString(body, 'closed'), 3, 'UTC') AS `closed`,
    JSONExtractInt(body, 'relapses') AS `relapses`,
    JSONExtractString(body, 'by') AS `by`,
    JSONExtractString(body, 'why') AS `why`,
    JSONExtract(body, 'policies', 'Array(String)') AS `policies`,
    toInt64(JSONLength(body, 'decisions')) AS `decisions`,
    toInt64(JSONLength(body, 'steps')) AS `steps`,
    toInt64(arrayCount(x -> NOT JSONHas(x, 'proof'), JSONExtractArrayRaw(body, 'steps'))) AS `steps_open`,
    toInt64(JSONLength(body, 'notes')) AS `notes`,
    parseDateTime64BestEffortOrNull(JSONExtractString(body, 'window', 'from'), 3, 'UTC') AS `window_from`,
    parseDateTime64BestEffortOrNull(JSONExtractString(body, 'window', 'to'), 3, 'UTC') AS `window_to`,
    JSONExtractString(body, 'window', 'confidence') AS `confidence`,
    toBool(JSONExtractBool(body, 'protected')) AS `protected`,
    JSONExtractString(body, 'awaits', 'request', 'act') AS `awaits`,
    JSONExtractString(body, 'incident') AS `incident`,
    JSONExtractString(body, 'merged') AS `merged`
FROM
(
    SELECT c.id AS id, c.entity AS entity, argMax(c.body, (JSONExtractInt(c.body, 'version'), c.arrival, c.offset)) AS body
    FROM cases AS c
    WHERE c.kind = 'case'
    GROUP BY c.entity, c.id
)
;
