-- Those whose turn has not come are not pending.
SELECT seq, id, job, target, event, body, state, attempts, next_at_ms, finished_at_ms, last_error
FROM delivery
WHERE state = 'pending' AND next_at_ms <= ?1
ORDER BY next_at_ms, seq
LIMIT +?2
