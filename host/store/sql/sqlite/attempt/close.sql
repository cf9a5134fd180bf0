UPDATE attempt SET finished_at_ms = ?3, outcome = ?4, failure = ?5, usage = ?6, log = ?7
WHERE job = ?1 AND run = ?2 AND finished_at_ms IS NULL
