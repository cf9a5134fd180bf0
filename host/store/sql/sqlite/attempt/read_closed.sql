SELECT run, attempt, started_at_ms, finished_at_ms, outcome, failure, usage, log
FROM attempt WHERE job = ?1 AND run = ?2 AND finished_at_ms IS NOT NULL
