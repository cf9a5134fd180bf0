-- $1 is an array of jobs that are over: their first attempt was their only run, if they ran. A known id stands.
-- MATERIALIZED, or each field would take its object out of the array again.
WITH past AS MATERIALIZED (SELECT value AS job FROM jsonb_each($1))
INSERT INTO job (id, kind, class, priority, state, rank_ms, enqueued_at_ms, run_at_ms, started_at_ms, finished_at_ms,
                 attempt, attempts_max, callback, trace_parent, model, reason, output, failure, usage, plugin,
                 token, replay_token)
SELECT job ->> 'id', job ->> 'kind', job ->> 'class', job ->> 'priority', job ->> 'state',
       job ->> 'rank_ms', job ->> 'enqueued_at_ms', job ->> 'run_at_ms', job ->> 'started_at_ms', job ->> 'finished_at_ms',
       job ->> 'attempt', job ->> 'attempts_max', job ->> 'callback', job ->> 'trace_parent', job ->> 'model',
       job ->> 'reason', job ->> 'output', job ->> 'failure', coalesce(job ->> 'usage', '{}'), job ->> 'plugin',
       floor.token + (job ->> 'attempt'), floor.token
FROM past CROSS JOIN token_floor AS floor
WHERE true -- without it, SQLite reads ON as a join
ON CONFLICT DO NOTHING
