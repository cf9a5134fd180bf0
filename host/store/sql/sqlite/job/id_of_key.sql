SELECT id FROM job WHERE idempotency_key = ?1
