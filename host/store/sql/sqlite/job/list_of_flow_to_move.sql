-- In the order of the submission.
SELECT id, kind, class, priority, rank_ms, state, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, replay_token, reason, NULL AS output, failure, usage, callback, trace_parent, caller,
       plugin, schedule, fire_ms, flow, name, waits,
       concurrency_key, concurrency_limit, depth, awaits, '' AS input,
       state = 'failed' AND coalesce(failure_code = 'dependency-failed', 0) AS is_dependency_failed, waits > 0 AS is_waiting
FROM job
WHERE flow = ?1
ORDER BY place
