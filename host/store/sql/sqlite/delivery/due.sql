-- Among the ?5 that have been due longest, which are read in the order of delivery_due. Those whose turn has not come are
-- not pending. ?3 are those that are under way, ?4 the targets of which as many are as may be.
SELECT seq, id, job, target, event, body, state, attempts, next_at_ms, finished_at_ms, last_error
FROM (SELECT * FROM delivery WHERE state = 'pending' AND next_at_ms <= ?1 ORDER BY next_at_ms, seq LIMIT +?5) AS longest
WHERE id NOT IN (SELECT value FROM json_each(?3)) AND target NOT IN (SELECT value FROM json_each(?4))
LIMIT +?2
