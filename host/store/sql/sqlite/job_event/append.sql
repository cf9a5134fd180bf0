INSERT INTO job_event (job, seq, at_ms, state, attempt, reason)
SELECT ?1, coalesce(max(seq), 0) + 1, ?2, ?3, ?4, ?5 FROM job_event WHERE job = ?1
