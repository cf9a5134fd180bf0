-- Jobs that are blocked, not parked, and whose count of what they wait for is wrong.
SELECT id FROM job INDEXED BY job_blocked
WHERE state = 'blocked' AND parked = 0
  AND CASE
    -- A job that waits for children has begun: what it needs was over.
    WHEN awaits > 0
    THEN awaits <> (SELECT count(*) FROM job AS child
                    WHERE child.parent = job.id AND child.is_awaited = 1 AND child.finished_at_ms IS NULL)
    ELSE waits = 0 OR waits <> (SELECT count(*) FROM need CROSS JOIN job AS needed ON needed.id = need.needs
                                WHERE need.job = job.id AND needed.finished_at_ms IS NULL)
  END
LIMIT +?1
