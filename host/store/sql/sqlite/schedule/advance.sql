-- Never backwards.
INSERT INTO schedule (id, handled_up_to_ms) VALUES (?1, ?2)
ON CONFLICT (id) DO UPDATE SET handled_up_to_ms = max(handled_up_to_ms, excluded.handled_up_to_ms)
