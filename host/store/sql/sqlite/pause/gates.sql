-- What keeps jobs back at the instant ?1: pauses that are not over, and the buckets of rate limits.
SELECT scope, name, until_ms, NULL AS count, NULL AS per_ms, NULL AS full_at_us
FROM pause WHERE until_ms IS NULL OR until_ms > ?1
UNION ALL
SELECT 'rate', kind, NULL, count, per_ms, full_at_us FROM rate
