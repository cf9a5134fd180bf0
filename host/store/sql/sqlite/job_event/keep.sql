-- All events of jobs that were just inserted, of each no more than three, and rows of nothing behind them.
INSERT INTO job_event (job, seq, at_ms, state, attempt, reason)
SELECT *
FROM (
  VALUES (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?)
) AS past
WHERE past.column1 IS NOT NULL
