-- Whether more than ?2 are due.
SELECT EXISTS (SELECT 1 FROM delivery WHERE state = 'pending' AND next_at_ms <= ?1 LIMIT 1 OFFSET ?2)
