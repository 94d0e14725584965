-- Under which trial a signal or a decision stands; empty for all that is live.
ALTER TABLE inbox
    ADD COLUMN IF NOT EXISTS `trial` LowCardinality(String)
;
ALTER TABLE inbox_twin
    ADD COLUMN IF NOT EXISTS `trial` LowCardinality(String)
;
ALTER TABLE decisions
    ADD COLUMN IF NOT EXISTS `trial` LowCardinality(String)
;
ALTER TABLE decisions_twin
    ADD COLUMN IF NOT EXISTS `trial` LowCardinality(String)
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
    body
FROM inbox WHERE kind IN ('signal', 'trial')
;
