-- The child ?2 of job ?1, with the run of the parent that submitted it.
SELECT job.id, job.kind, job.class, job.priority, job.rank_ms, job.state, job.enqueued_at_ms, job.run_at_ms, job.deadline_ms, job.started_at_ms,
       job.finished_at_ms, job.attempt, job.attempts_max, job.losses, job.token, job.replay_token, job.reason,
       NULL AS output, job.failure, job.usage, job.callback, job.trace_parent, job.caller, job.plugin, job.schedule,
       job.fire_ms, job.flow, job.name, job.waits, job.concurrency_key, job.concurrency_limit, job.depth, job.awaits,
       submitted_by, '' AS input
FROM job
WHERE parent = ?1 AND child_name = ?2
