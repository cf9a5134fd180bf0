SELECT id, name, jobs, digest, enqueued_at_ms FROM flow WHERE idempotency_key = ?1
