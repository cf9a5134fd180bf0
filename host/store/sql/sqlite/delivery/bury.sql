-- For a row that cannot be read. By `seq`: its id may be what cannot be read.
UPDATE delivery SET state = 'dead', finished_at_ms = ?2, last_error = ?3 WHERE seq = ?1 AND state = 'pending'
