-- The best-ranked parked job of each of the keys in ?1.
SELECT job.id
FROM json_each(?1) AS wanted CROSS JOIN job
  ON job.rowid = (SELECT rowid FROM job AS waiting
                  WHERE waiting.parked = 1 AND waiting.concurrency_key = wanted.value
                  ORDER BY waiting.rank_ms, waiting.id LIMIT 1)
