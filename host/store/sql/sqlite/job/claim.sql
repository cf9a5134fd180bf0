-- $1 is an array of runs that begin. The token grows here and nowhere else. The `+` keeps the planner from
-- reading all queued jobs.
WITH run AS MATERIALIZED (SELECT value AS to_begin FROM jsonb_each($1))
UPDATE job
SET state = to_begin ->> 'state', attempt = to_begin ->> 'attempt', token = to_begin ->> 'token',
    lease_until_ms = $4, started_at_ms = to_begin ->> 'at_ms', reason = NULL
FROM run
WHERE id = to_begin ->> 'id' AND token = (to_begin ->> 'token') - 1 AND +state = 'queued'
