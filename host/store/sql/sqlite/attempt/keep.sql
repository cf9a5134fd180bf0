-- The runs of jobs that were just inserted, one for each at most, and rows of nothing behind them. column2 is the
-- attempt, and the token is made of it as that of the job is.
INSERT INTO attempt (job, attempt, started_at_ms, finished_at_ms, outcome, failure, usage, log, run)
SELECT past.*, floor.token + past.column2
FROM (
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)
) AS past CROSS JOIN token_floor AS floor
WHERE past.column1 IS NOT NULL
