INSERT INTO attempt (job, run, attempt, started_at_ms) VALUES (?1, ?2, ?3, ?4)
