-- A read-only user for dashboards on a ClickHouse of your own. The embedded engine has it
-- already. Put a password in, and run this as an administrator:
--   clickhouse-client --multiquery < grafana.sql
-- Every statement may be run again. CHANGEABLE_IN_READONLY needs a server on which
-- access_control_improvements.settings_constraints_replace_previous is on, as it is by default.

-- What one query may cost. Grafana's plugin sets max_execution_time itself, so that one may
-- be made shorter; everything else is fixed, and nothing is written.
CREATE SETTINGS PROFILE IF NOT EXISTS holdfast_reader SETTINGS
    readonly = 1,
    max_execution_time = 30 MIN 1 MAX 30 CHANGEABLE_IN_READONLY,
    max_memory_usage = 1000000000 CONST,
    max_result_rows = 1000000 CONST,
    max_result_bytes = 268435456 CONST,
    result_overflow_mode = 'throw' CONST,
    max_threads = 2 CONST,
    allow_introspection_functions = 0 CONST
;
-- A dashboard of 50 panels, renewed every 5 seconds, asks 600 times a minute.
CREATE QUOTA IF NOT EXISTS holdfast_reader KEYED BY user_name
    FOR INTERVAL 1 minute MAX queries = 600, errors = 120, execution_time = 240,
    FOR INTERVAL 1 hour MAX read_rows = 20000000000
;
CREATE ROLE IF NOT EXISTS holdfast_reader
;
GRANT SELECT ON holdfast.* TO holdfast_reader
;
CREATE USER OR REPLACE reader IDENTIFIED WITH sha256_password BY 'PUT A PASSWORD HERE' DEFAULT DATABASE holdfast SETTINGS PROFILE holdfast_reader
;
GRANT holdfast_reader TO reader
;
ALTER QUOTA holdfast_reader TO reader
;
