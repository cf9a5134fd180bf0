INSERT INTO schedule_spec (schedule, kind, expr, zone, priority, caller, missed, missed_max, overlap, created_at_ms,
                           changed_at_ms, input)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11)
