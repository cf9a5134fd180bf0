-- ?1 is an array of unique keys that are wanted at the instant ?2; those that hold no longer are given up.
UPDATE job SET unique_key = NULL
WHERE unique_key IN (SELECT value FROM json_each(?1)) AND unique_until_ms <= ?2
