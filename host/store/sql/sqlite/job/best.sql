-- The best-ranked jobs that may run now, as many as there are free slots and at most ?2. job_ready holds
-- nothing else, in this order.
SELECT job.id, kind, class, priority, state, enqueued_at_ms, run_at_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, replay_token, reason, output, failure, usage, callback, trace_parent, plugin, input
FROM job JOIN job_input ON job_input.job = job.id
WHERE class = ?1 AND state = 'queued'
ORDER BY rank_ms, id
LIMIT min(?2, (SELECT count(*) FROM slot WHERE class = ?1 AND job IS NULL))
