INSERT INTO schedule (id, revision, handled_up_to_ms, timing, paused_at_ms, pause_reason)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
