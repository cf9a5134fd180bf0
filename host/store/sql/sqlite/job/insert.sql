-- $1 is an array of jobs: one statement for a whole batch. A known id or a known idempotency key stands
-- and is not returned. No conflict target: of either.
INSERT INTO job (id, kind, class, priority, state, rank_ms, enqueued_at_ms, run_at_ms, attempts_max,
                 callback, trace_parent, schedule, idempotency_key)
SELECT value ->> 'id', value ->> 'kind', value ->> 'class', value ->> 'priority', value ->> 'state',
       value ->> 'rank_ms', value ->> 'enqueued_at_ms', value ->> 'run_at_ms', value ->> 'attempts_max',
       value ->> 'callback', value ->> 'trace_parent', value ->> 'schedule', value ->> 'idempotency_key'
FROM json_each($1)
WHERE true -- without it, SQLite reads ON as a join
ON CONFLICT DO NOTHING
RETURNING id, idempotency_key
