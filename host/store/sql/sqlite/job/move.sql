-- Every move but the claim. $1 is an array of moves; `token` and `from` are what each decision was made on.
-- MATERIALIZED, or each field would take its object out of the array again. The `+` keeps the planner on the key.
WITH move AS MATERIALIZED (SELECT value AS to_make FROM jsonb_each($1))
UPDATE job
SET state = to_make ->> 'state', attempt = to_make ->> 'attempt', losses = to_make ->> 'losses',
    run_at_ms = to_make ->> 'run_at_ms', finished_at_ms = to_make ->> 'finished_at_ms',
    lease_until_ms = CASE WHEN to_make ->> 'state' IN ('loading', 'working') THEN lease_until_ms END,
    -- Nothing but a retry on request leaves these states.
    replay_token = CASE WHEN state IN ('failed', 'cancelled') THEN token ELSE replay_token END,
    deadline_ms = CASE WHEN state NOT IN ('failed', 'cancelled') THEN deadline_ms END,
    reason = to_make ->> 'reason', output = to_make ->> 'output', failure = to_make ->> 'failure',
    parked = coalesce(to_make ->> 'parked', 0), waits = coalesce(to_make ->> 'waits', 0),
    awaits = coalesce(to_make ->> 'awaits', 0),
    -- A key without an end in time is the job's until its own end.
    unique_key = CASE WHEN to_make ->> 'finished_at_ms' IS NULL OR unique_until_ms IS NOT NULL THEN unique_key END,
    usage = coalesce(to_make ->> 'usage', '{}'), plugin = to_make ->> 'plugin'
FROM move
WHERE id = to_make ->> 'id' AND token = to_make ->> 'token' AND +state = to_make ->> 'from'
