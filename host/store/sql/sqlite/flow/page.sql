-- The newest first; ?1 is the last flow of the page before. No ULID sorts after '~'.
SELECT id, name, jobs, digest, enqueued_at_ms FROM flow WHERE id < coalesce(?1, '~') ORDER BY id DESC LIMIT +?2
