-- The job ?1, if it is queued and its class has a free slot; nobody asks for its input. The `+` keeps the planner
-- on the key.
SELECT id, kind, class, priority, state, rank_ms, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, replay_token, reason, output, failure, usage, callback, trace_parent, caller, plugin,
       schedule, fire_ms, flow, name, waits, concurrency_key, concurrency_limit, depth, awaits, '' AS input
FROM job
WHERE id = ?1 AND +state = 'queued'
  AND EXISTS (SELECT 1 FROM slot WHERE slot.class = job.class AND slot.job IS NULL)
