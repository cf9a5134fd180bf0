-- $1 is an array of jobs: one statement for a whole batch. A known id, idempotency key or unique key stands.
-- No conflict target: of any. MATERIALIZED, or each field would take its object out of the array again.
WITH submission AS MATERIALIZED (SELECT value AS job FROM jsonb_each($1))
INSERT INTO job (id, kind, class, priority, state, rank_ms, enqueued_at_ms, run_at_ms, deadline_ms, attempts_max,
                 callback, trace_parent, caller, schedule, fire_ms, idempotency_key, unique_key, unique_until_ms,
                 concurrency_key, concurrency_limit, flow, name, place, waits, model, token, replay_token)
SELECT job ->> 'id', job ->> 'kind', job ->> 'class', job ->> 'priority', job ->> 'state',
       job ->> 'rank_ms', job ->> 'enqueued_at_ms', job ->> 'run_at_ms', job ->> 'deadline_ms', job ->> 'attempts_max',
       job ->> 'callback', job ->> 'trace_parent', job ->> 'caller', job ->> 'schedule', job ->> 'fire_ms',
       job ->> 'idempotency_key', job ->> 'unique_key', job ->> 'unique_until_ms', job ->> 'concurrency_key',
       job ->> 'concurrency_limit', job ->> 'flow', job ->> 'name', job ->> 'place', coalesce(job ->> 'waits', 0),
       job ->> 'model', floor.token, floor.token
FROM submission CROSS JOIN token_floor AS floor
WHERE true -- without it, SQLite reads ON as a join
ON CONFLICT DO NOTHING
