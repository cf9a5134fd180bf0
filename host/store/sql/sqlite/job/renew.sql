-- ?1 is an array of runs; those that still hold their job are returned.
UPDATE job SET lease_until_ms = ?2
FROM jsonb_each(?1) AS run
WHERE job.id = run.value ->> 'job' AND job.token = run.value ->> 'token' AND +job.state IN ('loading', 'working')
RETURNING job.id, job.token
