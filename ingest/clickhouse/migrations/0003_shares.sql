-- How much each of a decision's signals added to its score. Decisions from before have none.
ALTER TABLE decisions
    ADD COLUMN IF NOT EXISTS `shares` Array(Float32)
;
ALTER TABLE decisions_twin
    ADD COLUMN IF NOT EXISTS `shares` Array(Float32)
;
