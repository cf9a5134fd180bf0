-- Each branch reads one partial index and none of the history. The planner cannot know how small
-- they are, hence INDEXED BY.
SELECT class, 'queued' AS state, count(*) AS jobs FROM job INDEXED BY job_ready WHERE state = 'queued' GROUP BY class
UNION ALL
SELECT class, 'scheduled', count(*) FROM job INDEXED BY job_due WHERE state = 'scheduled' GROUP BY class
UNION ALL
SELECT class, 'blocked', count(*) FROM job INDEXED BY job_blocked WHERE state = 'blocked' GROUP BY class
UNION ALL
SELECT class, state, count(*) FROM job INDEXED BY job_lease WHERE lease_until_ms IS NOT NULL GROUP BY class, state
ORDER BY class, state
