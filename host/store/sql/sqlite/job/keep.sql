-- Jobs that are over: their first attempt, which is column11, was their only run, if they ran. The statement is given
-- one row for each job, and rows of nothing behind them.
INSERT INTO job (id, kind, class, priority, state, rank_ms, enqueued_at_ms, run_at_ms, started_at_ms, finished_at_ms,
                 attempt, attempts_max, callback, trace_parent, model, reason, output, failure, usage, plugin,
                 token, replay_token)
SELECT past.*, floor.token + past.column11, floor.token
FROM (
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
) AS past CROSS JOIN token_floor AS floor
WHERE past.column1 IS NOT NULL
