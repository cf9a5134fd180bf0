SELECT min(lease_until_ms) FROM job WHERE lease_until_ms IS NOT NULL
