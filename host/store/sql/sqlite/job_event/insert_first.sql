-- ?1 is an array of jobs that were just inserted.
INSERT INTO job_event (job, seq, at_ms, state, attempt)
SELECT value ->> 'id', 1, value ->> 'enqueued_at_ms', value ->> 'state', 0 FROM json_each(?1)
