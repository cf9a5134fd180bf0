UPDATE job SET awaits = ?2 WHERE id = ?1 AND state = 'blocked' AND awaits > 0
