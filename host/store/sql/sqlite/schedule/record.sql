-- ?2 and ?3 are null if no fire ran.
UPDATE schedule
SET last_fire_ms = coalesce(?2, last_fire_ms), last_job = iif(?2 IS NULL, last_job, ?3),
    fires_skipped = fires_skipped + ?4
WHERE id = ?1
