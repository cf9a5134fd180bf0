SELECT id FROM job WHERE lease_until_ms <= ?1 ORDER BY lease_until_ms LIMIT +?2
