INSERT INTO delivery (id, job, target, event, body, next_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
