-- One of a manifest has no spec and stays.
DELETE FROM schedule WHERE id = ?1 AND EXISTS (SELECT 1 FROM schedule_spec WHERE schedule = ?1)
