UPDATE attempt SET usage = ?3, log = ?4 WHERE job = ?1 AND run = ?2 AND finished_at_ms IS NOT NULL
