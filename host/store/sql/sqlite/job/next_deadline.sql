SELECT min(deadline_ms) FROM job INDEXED BY job_deadline WHERE deadline_ms IS NOT NULL AND finished_at_ms IS NULL
