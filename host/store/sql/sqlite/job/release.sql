-- The jobs ?1 are over: those that need them and wait for others wait for so many fewer.
UPDATE job SET waits = max(waits - freed.needs, 0)
FROM (SELECT need.job AS id, count(*) AS needs
      FROM json_each(?1) AS ended CROSS JOIN need ON need.needs = ended.value
      GROUP BY need.job) AS freed
WHERE job.id = freed.id AND job.waits > 0
RETURNING job.id, kind, class, priority, rank_ms, state, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
          attempts_max, losses, token, replay_token, reason, NULL AS output, failure, usage, callback, trace_parent, caller,
          plugin, schedule, fire_ms, flow, name, waits,
          concurrency_key, concurrency_limit, depth, awaits, '' AS input
