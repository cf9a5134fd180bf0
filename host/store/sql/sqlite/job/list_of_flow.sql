-- In the order of the submission. Without input and output: 2,000 of them could have gigabytes.
SELECT id, kind, class, priority, rank_ms, state, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, reason, NULL AS output, failure, usage, callback, trace_parent, caller,
       plugin, schedule, fire_ms, flow, name, waits, '' AS input
FROM job
WHERE flow = ?1
ORDER BY place
