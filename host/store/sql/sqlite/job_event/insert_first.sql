-- $1 is an array of jobs; those that were just inserted have no event yet.
INSERT INTO job_event (job, seq, at_ms, state, attempt)
SELECT job.id, 1, enqueued_at_ms, state, 0
FROM jsonb_each($1) CROSS JOIN job
  ON job.id = value ->> 'id' AND job.idempotency_key IS value ->> 'idempotency_key'
WHERE true -- without it, SQLite reads ON as a join
ON CONFLICT (job, seq) DO NOTHING
