-- $3 is an array of runs that have ended.
UPDATE attempt
SET finished_at_ms = ended.value ->> 'at_ms', outcome = ended.value ->> 'outcome', failure = ended.value ->> 'failure',
    usage = coalesce(ended.value ->> 'usage', '{}'), log = coalesce(ended.value ->> 'log', '[]')
FROM json_each($3) AS ended
WHERE job = ended.value ->> 'job' AND run = ended.value ->> 'run' AND finished_at_ms IS NULL
