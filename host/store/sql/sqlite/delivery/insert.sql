-- It waits while an older one of the same job and target is open; that one is pending then.
INSERT INTO delivery (id, job, target, event, body, next_at_ms, state)
SELECT ?1, ?2, ?3, ?4, ?5, ?6,
       iif(EXISTS (SELECT 1 FROM delivery WHERE job = ?2 AND target = ?3 AND state = 'pending'), 'waiting', 'pending')
