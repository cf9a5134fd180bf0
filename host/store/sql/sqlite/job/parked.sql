-- The best-ranked parked jobs. ?1 is an array of keys, each with how many are wanted; ?2 is the most of these
-- numbers, because the limit of each cannot be its own.
WITH best (row) AS (
  SELECT row
  FROM (SELECT job.rowid AS row, wanted.value ->> 1 AS jobs,
               row_number() OVER (PARTITION BY wanted.id ORDER BY job.rank_ms, job.id) AS n
        FROM json_each(?1) AS wanted CROSS JOIN job ON job.rowid IN (
          SELECT rowid FROM job AS waiting
          WHERE waiting.parked = 1 AND waiting.concurrency_key = wanted.value ->> 0
          ORDER BY waiting.rank_ms, waiting.id
          LIMIT +?2))
  WHERE n <= jobs
)
SELECT id, kind, class, priority, rank_ms, state, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, replay_token, reason, output, failure, usage, callback, trace_parent, caller, plugin,
       schedule, fire_ms, flow, name, waits, concurrency_key, concurrency_limit, depth, awaits, '' AS input
FROM best CROSS JOIN job ON job.rowid = best.row
