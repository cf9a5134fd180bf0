-- Job ?1 waits for those of its children ?2 that are not over, and for no other one.
UPDATE job SET is_awaited = NOT is_awaited
WHERE parent = ?1 AND is_awaited <> (finished_at_ms IS NULL AND id IN (SELECT value FROM json_each(?2)))
