-- The latest first.
SELECT run, attempt, started_at_ms, finished_at_ms, outcome, failure, usage, log
FROM attempt WHERE job = ?1 ORDER BY run DESC LIMIT +?2
