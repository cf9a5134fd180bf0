-- Those that are not over.
SELECT id, kind, class, priority, rank_ms, state, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, replay_token, reason, NULL AS output, failure, usage, callback, trace_parent, caller,
       plugin, schedule, fire_ms, flow, name, waits,
       concurrency_key, concurrency_limit, depth, awaits, '' AS input
FROM job
WHERE flow = ?1 AND state IN ('blocked', 'scheduled', 'queued', 'loading', 'working')
