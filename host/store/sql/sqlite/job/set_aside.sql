-- For a row that cannot be read: it must not stand before the others at every claim, or keep those waiting
-- that need it. As at any end, a unique key without an end in time is free.
UPDATE job
SET state = 'failed', waits = 0, awaits = 0, parked = 0, finished_at_ms = ?2, reason = ?3, failure = ?4,
    unique_key = CASE WHEN unique_until_ms IS NOT NULL THEN unique_key END
WHERE id = ?1 AND state IN ('queued', 'blocked')
