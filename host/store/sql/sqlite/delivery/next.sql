-- The first instant after ?1 at which a delivery is due.
SELECT min(next_at_ms) FROM delivery WHERE state = 'pending' AND next_at_ms > ?1
