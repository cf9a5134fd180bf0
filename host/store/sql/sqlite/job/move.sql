-- Every move but the claim. $1 is an array of moves; `token` and `from` are what each decision was made on.
-- The `+` keeps the planner on the key.
UPDATE job
SET state = move.value ->> 'state', attempt = move.value ->> 'attempt', losses = move.value ->> 'losses',
    run_at_ms = move.value ->> 'run_at_ms', finished_at_ms = move.value ->> 'finished_at_ms',
    lease_until_ms = CASE WHEN move.value ->> 'state' IN ('loading', 'working') THEN lease_until_ms END,
    -- Nothing but a replay leaves these states.
    replay_token = CASE WHEN state IN ('failed', 'cancelled') THEN token ELSE replay_token END,
    reason = move.value ->> 'reason', output = move.value ->> 'output', failure = move.value ->> 'failure',
    usage = coalesce(move.value ->> 'usage', '{}'), plugin = move.value ->> 'plugin'
FROM json_each($1) AS move
WHERE job.id = move.value ->> 'id' AND token = move.value ->> 'token' AND +state = move.value ->> 'from'
