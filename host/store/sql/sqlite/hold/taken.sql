-- The places that are taken of the keys in ?1.
SELECT hold.key, n FROM json_each(?1) AS wanted CROSS JOIN hold ON hold.key = wanted.value
