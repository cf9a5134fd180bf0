-- The first to see a schedule decides; the no-op update makes RETURNING answer in both cases.
INSERT INTO schedule (id, handled_up_to_ms) VALUES (?1, ?2)
ON CONFLICT (id) DO UPDATE SET handled_up_to_ms = handled_up_to_ms
RETURNING handled_up_to_ms
