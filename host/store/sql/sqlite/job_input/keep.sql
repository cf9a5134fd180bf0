-- The inputs of jobs that were just inserted, one row for each, and rows of nothing behind them.
INSERT INTO job_input (job, input)
SELECT *
FROM (
  VALUES (?, ?)
) AS past
WHERE past.column1 IS NOT NULL
