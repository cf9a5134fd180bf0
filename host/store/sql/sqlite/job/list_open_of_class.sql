-- Jobs of class ?1 that are queued or run, in no order. A move never looks at the input. The planner cannot know
-- how small the indexes are, hence INDEXED BY.
SELECT id, kind, class, priority, state, rank_ms, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, replay_token, reason, output, failure, usage, callback, trace_parent, caller, plugin,
       schedule, fire_ms, flow, name, waits, concurrency_key, concurrency_limit, depth, awaits, '' AS input
FROM job
WHERE rowid IN (SELECT rowid FROM job INDEXED BY job_ready WHERE state = 'queued' AND class = ?1
                UNION ALL
                SELECT rowid FROM job INDEXED BY job_lease WHERE lease_until_ms IS NOT NULL AND class = ?1
                LIMIT +?2)
