-- A mark that was made for another timing starts anew. One of an older host has no timing and is kept.
INSERT INTO schedule (id, handled_up_to_ms, timing, revision) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE SET
  handled_up_to_ms = iif(coalesce(timing, ?3) = ?3, handled_up_to_ms, ?2),
  revision = iif(coalesce(timing, ?3) = ?3, revision, ?4),
  timing = ?3
