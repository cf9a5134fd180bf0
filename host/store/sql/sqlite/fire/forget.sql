DELETE FROM fire
WHERE (schedule, fire_ms) IN (SELECT schedule, fire_ms FROM fire WHERE fire_ms <= ?1 ORDER BY fire_ms LIMIT +?2)
