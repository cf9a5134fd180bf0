-- The children of the jobs ?1 that are not over, and theirs. What is below a child that is over goes on.
WITH RECURSIVE lineage (id) AS MATERIALIZED (
  SELECT value FROM json_each(?1)
  UNION
  SELECT job.id FROM lineage CROSS JOIN job ON job.parent = lineage.id AND job.finished_at_ms IS NULL
)
SELECT job.id, job.kind, job.class, job.priority, job.rank_ms, job.state, job.enqueued_at_ms, job.run_at_ms, job.deadline_ms, job.started_at_ms,
       job.finished_at_ms, job.attempt, job.attempts_max, job.losses, job.token, job.replay_token, job.reason,
       NULL AS output, job.failure, job.usage, job.callback, job.trace_parent, job.caller, job.plugin, job.schedule,
       job.fire_ms, job.flow, job.name, job.waits, job.concurrency_key, job.concurrency_limit, job.depth, job.awaits,
       '' AS input
FROM lineage CROSS JOIN job ON job.id = lineage.id
WHERE job.finished_at_ms IS NULL
