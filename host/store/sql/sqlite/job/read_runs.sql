-- The fence: $1 is an array of runs, and of those that no longer hold their job there is no row. Without the
-- input, as in read_to_move. The `+` keeps the planner on the key.
SELECT job.id, kind, class, priority, rank_ms, state, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, replay_token, reason, output, failure, usage, callback, trace_parent, caller, plugin,
       schedule, fire_ms, flow, name, waits, concurrency_key, concurrency_limit, depth, awaits, '' AS input
FROM jsonb_each($1) AS run CROSS JOIN job ON job.id = run.value ->> 'job' AND token = run.value ->> 'token'
WHERE +state IN ('loading', 'working')
