-- Jobs that are blocked, not parked, and whose count of what they wait for is wrong.
SELECT id FROM job INDEXED BY job_blocked
WHERE state = 'blocked' AND parked = 0
  AND (waits = 0 OR waits <> (SELECT count(*) FROM need CROSS JOIN job AS needed ON needed.id = need.needs
                              WHERE need.job = job.id AND needed.finished_at_ms IS NULL))
LIMIT ?1
