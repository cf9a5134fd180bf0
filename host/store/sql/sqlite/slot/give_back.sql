-- ?1 is an array of runs that have ended.
UPDATE slot SET job = NULL, token = NULL
FROM json_each(?1) AS run
WHERE slot.job = run.value ->> 'id' AND slot.token = run.value ->> 'token'
