-- The token grows here and nowhere else. Runs that were given back are those that are no attempts.
UPDATE job
SET state = ?2, attempt = ?3, token = token + 1, lease_until_ms = ?4, started_at_ms = ?5, reason = NULL
WHERE id = ?1 AND state = 'queued'
RETURNING token, token - attempt - replay_token AS postponements
