-- One that was not paused keeps its mark: what is due stays due.
UPDATE schedule
SET revision = ?2, handled_up_to_ms = iif(paused_at_ms IS NULL, handled_up_to_ms, ?3),
    paused_at_ms = NULL, pause_reason = NULL
WHERE id = ?1
