-- All but the latest ?2 runs of the jobs in the array ?1. They are counted: a restore leaves a gap between their numbers.
DELETE FROM attempt
WHERE (job, run) IN (SELECT attempt.job, attempt.run
                     FROM json_each(?1) AS ended
                     CROSS JOIN attempt ON attempt.job = ended.value
                       AND attempt.run <= (SELECT late.run FROM attempt AS late WHERE late.job = ended.value
                                           ORDER BY late.run DESC LIMIT 1 OFFSET ?2))
