SELECT schedule.id, revision, handled_up_to_ms, timing, paused_at_ms, pause_reason, last_fire_ms, job.id AS last_job,
       fires_missed, fires_skipped, schedule_spec.schedule IS NOT NULL AS is_made, schedule_spec.kind, expr, zone,
       schedule_spec.priority, schedule_spec.caller, missed, missed_max, overlap, created_at_ms, changed_at_ms,
       schedule_spec.input
FROM schedule
LEFT JOIN schedule_spec ON schedule_spec.schedule = schedule.id
LEFT JOIN job ON job.id = last_job
WHERE schedule.id = ?1
