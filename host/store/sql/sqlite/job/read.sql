SELECT job.id, kind, class, priority, rank_ms, state, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, reason, output, failure, usage, callback, trace_parent, caller, plugin, schedule,
       fire_ms, flow, name, waits, input
FROM job JOIN job_input ON job_input.job = job.id
WHERE job.id = ?1
