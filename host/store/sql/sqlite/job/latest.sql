-- The latest instant that the clock of a host was seen at: the newest job, and the last end of each kind.
-- No ULID sorts after '~'.
SELECT max(at_ms) FROM (
  SELECT (SELECT enqueued_at_ms FROM job WHERE id < '~' ORDER BY id DESC LIMIT 1) AS at_ms
  UNION ALL
  SELECT max(finished_at_ms) FROM job WHERE state = 'done' AND finished_at_ms IS NOT NULL
  UNION ALL
  SELECT max(finished_at_ms) FROM job WHERE state = 'failed' AND finished_at_ms IS NOT NULL
  UNION ALL
  SELECT max(finished_at_ms) FROM job WHERE state = 'cancelled' AND finished_at_ms IS NOT NULL
)
