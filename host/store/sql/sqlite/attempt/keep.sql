-- $4 is an array of runs that are over, each the only one of a job that was just inserted.
INSERT INTO attempt (job, run, attempt, started_at_ms, finished_at_ms, outcome, failure, usage, log)
SELECT job.id, job.token, value ->> 'attempt', value ->> 'started_at_ms', value ->> 'finished_at_ms',
       value ->> 'outcome', value ->> 'failure', coalesce(value ->> 'usage', '{}'), coalesce(value ->> 'log', '[]')
FROM jsonb_each($4) CROSS JOIN job ON job.id = value ->> 'job'
