-- The jobs ?1 are over: nobody waits for them any more. Returns who did. The `+` keeps the planner on the key.
UPDATE job SET is_awaited = 0
WHERE id IN (SELECT value FROM json_each(?1)) AND +is_awaited = 1 AND parent IS NOT NULL
RETURNING parent
