-- $2 is an array of events, some with a run that `ended`.
UPDATE slot SET job = NULL, token = NULL
FROM jsonb_each($2) AS run
WHERE slot.job = run.value ->> 'job' AND slot.token = run.value ->> 'ended'
