-- $1 is an array of runs that begin.
INSERT INTO attempt (job, run, attempt, started_at_ms)
SELECT value ->> 'id', value ->> 'token', value ->> 'attempt', value ->> 'at_ms' FROM jsonb_each($1)
