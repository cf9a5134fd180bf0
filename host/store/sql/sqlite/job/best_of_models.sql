-- The best-ranked jobs of the models ?4 that may run now, at most ?2. job_of_model holds nothing else: of each model and
-- kind the best are taken from it in order, and of these the best. ?3 is an array of kinds that are closed.
WITH RECURSIVE ready (model, kind) AS (
  SELECT wanted.value, (SELECT min(job.kind) FROM job INDEXED BY job_of_model
                        WHERE class = ?1 AND job.model = wanted.value AND state = 'queued')
  FROM json_each(?4) AS wanted
  UNION ALL
  SELECT ready.model, (SELECT min(job.kind) FROM job INDEXED BY job_of_model
                       WHERE class = ?1 AND job.model = ready.model AND state = 'queued' AND job.kind > ready.kind)
  FROM ready WHERE ready.kind IS NOT NULL
), best (row) AS (
  SELECT job.rowid
  FROM ready CROSS JOIN job ON job.rowid IN (
    SELECT rowid FROM job AS of_kind INDEXED BY job_of_model
    WHERE of_kind.class = ?1 AND of_kind.model = ready.model AND of_kind.kind = ready.kind AND of_kind.state = 'queued'
    ORDER BY of_kind.rank_ms, of_kind.id
    LIMIT +?2)
  WHERE ready.kind NOT IN (SELECT value FROM json_each(?3))
  ORDER BY job.rank_ms, job.id
  LIMIT +?2
)
SELECT job.id, kind, class, priority, rank_ms, state, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, replay_token, reason, output, failure, usage, callback, trace_parent, caller, plugin,
       schedule, fire_ms, flow, name, waits, concurrency_key, concurrency_limit, depth, awaits, model, input
FROM best CROSS JOIN job ON job.rowid = best.row CROSS JOIN job_input ON job_input.job = job.id
ORDER BY rank_ms, job.id
