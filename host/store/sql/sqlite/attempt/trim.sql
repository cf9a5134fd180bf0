-- All but the latest ?2 runs. ?1 is an array of jobs, each with the token of its latest run.
DELETE FROM attempt
WHERE (job, run) IN (SELECT attempt.job, attempt.run
                     FROM json_each(?1) AS ended
                     CROSS JOIN attempt ON attempt.job = ended.value ->> 0 AND attempt.run <= (ended.value ->> 1) - ?2)
