-- Every move but the claim. ?2 and ?3 are the token and the state the decision was made on.
UPDATE job
SET state = ?4, attempt = ?5, losses = ?6, run_at_ms = ?7, finished_at_ms = ?8,
    lease_until_ms = CASE WHEN ?4 IN ('loading', 'working') THEN lease_until_ms END,
    -- Nothing but a replay leaves these states.
    replay_token = CASE WHEN state IN ('failed', 'cancelled') THEN token ELSE replay_token END,
    reason = ?9, output = ?10, failure = ?11, usage = ?12, plugin = ?13
WHERE id = ?1 AND token = ?2 AND state = ?3
