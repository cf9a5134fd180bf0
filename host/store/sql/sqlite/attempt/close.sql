-- $3 is an array of runs that have ended.
WITH ended AS MATERIALIZED (SELECT value AS to_close FROM jsonb_each($3))
UPDATE attempt
SET finished_at_ms = to_close ->> 'at_ms', outcome = to_close ->> 'outcome', failure = to_close ->> 'failure',
    usage = coalesce(to_close ->> 'usage', '{}'), log = coalesce(to_close ->> 'log', '[]')
FROM ended
WHERE job = to_close ->> 'job' AND run = to_close ->> 'run' AND finished_at_ms IS NULL
