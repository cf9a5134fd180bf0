-- The jobs that fail because job ?1 ended without a result, in however many steps; each with the
-- name of a job that it needs and that is among them, of ?1 itself if it needs that one. The `+` keeps the
-- planner from trying all of them for each.
WITH RECURSIVE doomed (id) AS MATERIALIZED (
  VALUES (?1)
  UNION
  SELECT need.job
  FROM doomed CROSS JOIN need ON need.needs = doomed.id AND need.on_failure = 'fail'
              CROSS JOIN job ON job.id = need.job AND job.waits > 0
)
SELECT job.id, job.kind, job.class, job.priority, job.rank_ms, job.state, job.enqueued_at_ms, job.run_at_ms, job.deadline_ms, job.started_at_ms,
       job.finished_at_ms, job.attempt, job.attempts_max, job.losses, job.token, job.replay_token, job.reason,
       NULL AS output, job.failure, job.usage, job.callback, job.trace_parent, job.caller, job.plugin, job.schedule,
       job.fire_ms, job.flow, job.name, job.waits, job.concurrency_key, job.concurrency_limit, job.depth, job.awaits, '' AS input,
       needed.name AS needed, min(need.needs <> ?1) AS is_indirect
FROM doomed CROSS JOIN job ON job.id = doomed.id AND job.waits > 0
            CROSS JOIN need ON need.job = job.id AND need.on_failure = 'fail' AND +need.needs IN doomed
            CROSS JOIN job AS needed ON needed.id = need.needs
GROUP BY job.id
