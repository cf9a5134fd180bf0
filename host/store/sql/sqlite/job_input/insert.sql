-- $2 is an array of inputs; those of jobs that were just inserted are kept. Of two of one job the first counts.
INSERT INTO job_input (job, input)
SELECT job.id, value ->> 'input'
FROM jsonb_each($2) CROSS JOIN job
  ON job.id = value ->> 'id' AND job.idempotency_key IS value ->> 'idempotency_key'
WHERE true -- without it, SQLite reads ON as a join
ON CONFLICT (job) DO NOTHING
