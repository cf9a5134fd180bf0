-- Those whose deadline has passed and that have not ended.
SELECT id FROM job INDEXED BY job_deadline
WHERE deadline_ms <= ?1 AND finished_at_ms IS NULL
ORDER BY deadline_ms
LIMIT +?2
