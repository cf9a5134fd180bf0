SELECT id, name, jobs, digest, enqueued_at_ms FROM flow WHERE id = ?1
