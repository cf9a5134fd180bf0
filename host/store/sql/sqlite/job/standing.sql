-- The job that stands in the way of a new one: that of the idempotency key ?2, of the id ?1, or of the unique
-- key ?3 that holds at ?4; in this order.
SELECT id FROM (
  SELECT 1 AS n, id FROM job WHERE idempotency_key = ?2
  UNION ALL
  SELECT 2, id FROM job WHERE id = ?1
  UNION ALL
  SELECT 3, id FROM job WHERE unique_key = ?3 AND (unique_until_ms IS NULL OR unique_until_ms > ?4)
)
ORDER BY n
LIMIT 1
