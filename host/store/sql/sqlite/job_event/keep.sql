-- $3 is an array of all events of jobs that were just inserted.
INSERT INTO job_event (job, seq, at_ms, state, attempt, reason)
SELECT value ->> 'job', value ->> 'seq', value ->> 'at_ms', value ->> 'state', value ->> 'attempt', value ->> 'reason'
FROM jsonb_each($3)
