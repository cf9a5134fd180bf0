SELECT seq, at_ms, state, attempt, reason FROM job_event WHERE job = ?1 AND seq > ?2 ORDER BY seq LIMIT +?3
