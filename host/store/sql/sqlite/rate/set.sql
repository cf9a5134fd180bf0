-- ?1 is an array of rates.
INSERT INTO rate (kind, count, per_ms)
SELECT value ->> 'kind', value ->> 'count', value ->> 'per_ms' FROM json_each(?1)
WHERE true -- without it, SQLite reads ON as a join
ON CONFLICT (kind) DO UPDATE SET count = excluded.count, per_ms = excluded.per_ms
