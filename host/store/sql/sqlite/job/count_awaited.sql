-- The children that job ?1 waits for.
SELECT count(*) FROM job WHERE parent = ?1 AND is_awaited = 1 AND finished_at_ms IS NULL
