-- For a row that cannot be read: it must not stand before the others at every claim.
UPDATE job SET state = 'failed', finished_at_ms = ?2, reason = ?3, failure = ?4 WHERE id = ?1 AND state = 'queued'
