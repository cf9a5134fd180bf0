SELECT EXISTS (SELECT 1 FROM job WHERE schedule = ?1 AND finished_at_ms IS NULL)
