-- For a row that cannot be read: it must not stand before the others at every claim, or keep those waiting
-- that need it.
UPDATE job SET state = 'failed', waits = 0, awaits = 0, finished_at_ms = ?2, reason = ?3, failure = ?4
WHERE id = ?1 AND state IN ('queued', 'blocked')
