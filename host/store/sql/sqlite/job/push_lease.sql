-- For a row that cannot be read: it must not stand before the others at every sweep.
UPDATE job SET lease_until_ms = ?2 WHERE id = ?1 AND lease_until_ms IS NOT NULL
