-- The newest first; ?1 is the last job of the page before. No ULID sorts after '~'. Without input and
-- output: a page of them could have gigabytes.
SELECT id, kind, class, priority, rank_ms, state, enqueued_at_ms, run_at_ms, deadline_ms, started_at_ms, finished_at_ms, attempt,
       attempts_max, losses, token, reason, NULL AS output, failure, usage, callback, trace_parent, caller,
       plugin, schedule, fire_ms, flow, name, waits, '' AS input
FROM job
WHERE kind = ?3 AND id < coalesce(?1, '~')
ORDER BY id DESC
LIMIT +?2
