-- The newest first; ?1 is the last job of the page before. No ULID sorts after '~'.
SELECT job.id, kind, class, priority, state, enqueued_at_ms, run_at_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, reason, output, failure, usage, callback, trace_parent, plugin, input
FROM job JOIN job_input ON job_input.job = job.id
WHERE job.id < coalesce(?1, '~')
ORDER BY job.id DESC
LIMIT ?2
