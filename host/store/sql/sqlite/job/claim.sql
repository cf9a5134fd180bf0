-- $1 is an array of runs that begin. The token grows here and nowhere else. Runs that were given back are
-- those that are no attempts. The `+` keeps the planner from reading all queued jobs.
UPDATE job
SET state = run.value ->> 'state', attempt = run.value ->> 'attempt', token = run.value ->> 'token',
    lease_until_ms = $4, started_at_ms = run.value ->> 'at_ms', reason = NULL
FROM json_each($1) AS run
WHERE job.id = run.value ->> 'id' AND job.token = (run.value ->> 'token') - 1 AND +job.state = 'queued'
RETURNING job.id, job.token - job.attempt - job.replay_token AS postponements
