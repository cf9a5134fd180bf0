SELECT seq, id, job, target, event, body, state, attempts, next_at_ms, finished_at_ms, last_error
FROM delivery WHERE job = ?1 ORDER BY seq
