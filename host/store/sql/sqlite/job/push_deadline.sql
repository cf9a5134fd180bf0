-- For a row that cannot be read: it must not stand before the others at every sweep.
UPDATE job SET deadline_ms = ?2 WHERE id = ?1 AND deadline_ms IS NOT NULL
