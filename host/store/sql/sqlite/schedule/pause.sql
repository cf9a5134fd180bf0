-- One that is paused keeps its reason; its revision changes all the same.
UPDATE schedule
SET revision = ?2, paused_at_ms = coalesce(paused_at_ms, ?3), pause_reason = coalesce(pause_reason, ?4)
WHERE id = ?1
