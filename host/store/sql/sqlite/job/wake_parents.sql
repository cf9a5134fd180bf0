-- ?1 is an array of parents, each as often as it has waited for a child that is over: they wait for so many
-- fewer.
UPDATE job SET awaits = max(awaits - ended.children, 0)
FROM (SELECT value AS id, count(*) AS children FROM json_each(?1) GROUP BY value) AS ended
WHERE job.id = ended.id AND job.awaits > 0
RETURNING job.id, kind, class, priority, rank_ms, state, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
          attempts_max, losses, token, replay_token, reason, NULL AS output, failure, usage, callback, trace_parent, caller,
          plugin, schedule, fire_ms, flow, name, waits,
          concurrency_key, concurrency_limit, depth, awaits, '' AS input
