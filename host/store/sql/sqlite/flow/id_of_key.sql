SELECT id FROM flow WHERE idempotency_key = ?1
