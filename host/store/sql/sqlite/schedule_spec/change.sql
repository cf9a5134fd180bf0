UPDATE schedule_spec
SET kind = ?2, expr = ?3, zone = ?4, priority = ?5, missed = ?6, missed_max = ?7, overlap = ?8,
    changed_at_ms = ?9, input = ?10
WHERE schedule = ?1
