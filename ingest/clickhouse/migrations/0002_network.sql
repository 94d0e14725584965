-- What was known of an event's address when it came in. Rows from before know nothing.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS `country` LowCardinality(String),
    ADD COLUMN IF NOT EXISTS `city` String,
    ADD COLUMN IF NOT EXISTS `asn` UInt32,
    ADD COLUMN IF NOT EXISTS `hosting` Bool,
    ADD COLUMN IF NOT EXISTS `vpn` Bool,
    ADD COLUMN IF NOT EXISTS `located` Bool,
    ADD COLUMN IF NOT EXISTS `latitude` Float64,
    ADD COLUMN IF NOT EXISTS `longitude` Float64
;
ALTER TABLE events_twin
    ADD COLUMN IF NOT EXISTS `country` LowCardinality(String),
    ADD COLUMN IF NOT EXISTS `city` String,
    ADD COLUMN IF NOT EXISTS `asn` UInt32,
    ADD COLUMN IF NOT EXISTS `hosting` Bool,
    ADD COLUMN IF NOT EXISTS `vpn` Bool,
    ADD COLUMN IF NOT EXISTS `located` Bool,
    ADD COLUMN IF NOT EXISTS `latitude` Float64,
    ADD COLUMN IF NOT EXISTS `longitude` Float64
;
