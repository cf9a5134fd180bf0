-- $2 is an array of events, at most one for each job.
INSERT INTO job_event (job, seq, at_ms, state, attempt, reason)
SELECT value ->> 'job', coalesce((SELECT max(seq) FROM job_event WHERE job = value ->> 'job'), 0) + 1,
       value ->> 'at_ms', value ->> 'state', value ->> 'attempt', value ->> 'reason'
FROM jsonb_each($2)
