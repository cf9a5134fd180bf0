-- A known id or a known idempotency key stands. No conflict target: of either.
INSERT INTO flow (id, name, jobs, digest, enqueued_at_ms, idempotency_key)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT DO NOTHING
