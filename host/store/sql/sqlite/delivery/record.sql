UPDATE delivery
SET state = ?2, attempts = attempts + 1, next_at_ms = coalesce(?3, next_at_ms), finished_at_ms = ?4, last_error = ?5
WHERE id = ?1 AND state = 'pending'
