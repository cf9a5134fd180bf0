UPDATE schedule_spec
SET kind = ?2, expr = ?3, zone = ?4, priority = ?5, caller = ?6, missed = ?7, missed_max = ?8, overlap = ?9,
    changed_at_ms = ?10, input = ?11
WHERE schedule = ?1
