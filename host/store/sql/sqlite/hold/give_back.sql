-- ?1 is an array of runs that have ended.
DELETE FROM hold
WHERE (key, n) IN (SELECT hold.key, hold.n
                   FROM jsonb_each(?1) AS run
                   CROSS JOIN hold ON hold.job = run.value ->> 'job' AND hold.token = run.value ->> 'run')
