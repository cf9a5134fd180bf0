SELECT id FROM job WHERE lease_until_ms IS NOT NULL ORDER BY lease_until_ms
