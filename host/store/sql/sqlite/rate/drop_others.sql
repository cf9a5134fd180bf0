-- ?1 is an array of kinds.
DELETE FROM rate WHERE kind NOT IN (SELECT value FROM json_each(?1))
