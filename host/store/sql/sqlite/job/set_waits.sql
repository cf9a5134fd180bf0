-- ?1 is an array of blocked jobs with what they wait for. The `+` keeps the planner on the key.
UPDATE job SET waits = count.value ->> 'waits'
FROM json_each(?1) AS count
WHERE job.id = count.value ->> 'id' AND +job.state = 'blocked' AND parked = 0
