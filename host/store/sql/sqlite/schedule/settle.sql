-- The fence: no row unless the schedule is as it was when ?2 was read. Never backwards.
UPDATE schedule
SET handled_up_to_ms = max(handled_up_to_ms, ?3), fires_missed = fires_missed + ?4
WHERE id = ?1 AND revision = ?2
