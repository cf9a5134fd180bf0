-- The fence: no row unless the run (?1, ?2) still holds its job. Without the input, as in read_to_move.
SELECT job.id, kind, class, priority, state, enqueued_at_ms, run_at_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, reason, output, failure, usage, callback, trace_parent, plugin, '' AS input
FROM job
WHERE id = ?1 AND token = ?2 AND state IN ('loading', 'working')
